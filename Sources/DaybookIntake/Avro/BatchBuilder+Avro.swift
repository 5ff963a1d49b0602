import Avro
import DaybookCatalog

extension BatchBuilder {
    /// Judges the row whose values stand at `places`, one for each column.
    mutating func judge(
        _ places: UnsafePointer<AvroPlace>, _ file: AvroRowPlan, original: Range<Int>
    ) throws(AvroDecodingError) {
        begin()
        for index in 0..<plan.columns.count { try take(index, places[index], file) }
        close(original: original)
    }

    /// Takes a column's value. What is of the column's own type goes straight in where no rule
    /// but its range is to be asked; everything else goes the way of text, as JSON and CSV do.
    @inline(__always)
    private mutating func take(
        _ index: Int, _ place: AvroPlace, _ file: AvroRowPlan
    ) throws(AvroDecodingError) {
        var cursor = place.cursor
        switch place.reading {
        case .null: takeMissing(index)
        case .whole: take(index, whole: try cursor.readLong())
        case .date: take(index, days: try cursor.readLong())
        case .microseconds: take(index, microseconds: try cursor.readLong())
        case .text: take(index, text: try cursor.readBytes())
        default: try takeOther(index, place.reading, &cursor, file)
        }
    }

    private mutating func takeOther(
        _ index: Int, _ reading: AvroReading, _ cursor: inout ByteCursor, _ file: AvroRowPlan
    ) throws(AvroDecodingError) {
        switch reading {
        case .milliseconds:
            let value = try cursor.readLong()
            if let microseconds = AvroScalars.microseconds(value) {
                take(index, microseconds: microseconds)
            } else {
                refuseRange(index, whole: value)
            }
        case .boolean: take(index, .boolean, try cursor.readBoolean() ? "true" : "false")
        case .float: take(index, double: Double(try cursor.readFloat()))
        case .double: take(index, double: try cursor.readDouble())
        case .symbol(let first, let count):
            let symbol = first + (try cursor.readIndex(below: count))
            file.symbols[symbol].withUnsafeBytes { take(index, .string, $0) }
        case .bytes: take(index, bytes: try cursor.readBytes())
        case .fixed(let byteCount): take(index, bytes: try cursor.readRaw(byteCount))
        case .decimal(let scale): take(index, decimal: try cursor.readBytes(), scale: scale)
        case .fixedDecimal(let scale, let byteCount):
            take(index, decimal: try cursor.readRaw(byteCount), scale: scale)
        case .nested: take(index, .container, "{…}")
        case .null, .whole, .date, .microseconds, .text:
            preconditionFailure("these are taken where they are met")
        }
    }

    private mutating func take(_ index: Int, _ form: Form, _ text: StaticString) {
        let bytes = UnsafeRawBufferPointer(
            start: text.utf8Start, count: text.utf8CodeUnitCount)
        take(index, form, bytes)
    }

    /// Takes what `write` puts into the scratch.
    private mutating func take(
        _ index: Int, _ form: Form, _ write: (inout ByteSink) -> Void
    ) {
        scratch.removeAll()
        write(&scratch)
        let text = scratch.unsafeBytes
        take(index, form, text)
    }

    /// A text of the file. Only in CSV can it be a number: there it has no type of its own.
    @inline(__always)
    private mutating func take(_ index: Int, text: UnsafeRawBufferPointer) {
        // As `text` a string is looked at for UTF-8, which Avro's writers may not have done.
        take(index, plan.columns[index].kind == .string ? .text : .string, text)
    }

    @inline(__always)
    private mutating func take(_ index: Int, whole value: Int64) {
        let column = plan.columns[index]
        switch column.kind {
        case .integer where column.takesPlainly(value): append(index, long: value)
        case .number where !column.hasMoreRules: take(index, double: Double(value))
        default: take(index, .number) { ScalarText.append(integer: value, to: &$0) }
        }
    }

    @inline(__always)
    private mutating func take(_ index: Int, days: Int64) {
        let column = plan.columns[index]
        guard AvroScalars.isDay(days) else { return refuseRange(index, whole: days) }
        if column.kind == .date && column.takesPlainly(days) {
            append(index, long: days)
        } else {
            take(index, .string) { ScalarText.append(days: Int32(days), to: &$0) }
        }
    }

    @inline(__always)
    private mutating func take(_ index: Int, microseconds: Int64) {
        let column = plan.columns[index]
        guard AvroScalars.isMoment(microseconds) else {
            return refuseRange(index, whole: microseconds)
        }
        if column.kind == .timestamp && column.takesPlainly(microseconds) {
            append(index, long: microseconds)
        } else {
            take(index, .string) { ScalarText.append(microseconds: microseconds, to: &$0) }
        }
    }

    /// Appends a value of the column's own type that its rules let through.
    @inline(__always)
    private mutating func append(_ index: Int, long value: Int64) {
        if plan.columns[index].isOptional { encoded.append(byte: 2) }
        let start = encoded.count
        encoded.append(long: value)
        noteValue(index, from: start)
    }

    private mutating func noteValue(_ index: Int, from start: Int) {
        spans[index] = ValueSpan(
            start: UInt32(truncatingIfNeeded: start &- rowStart),
            end: UInt32(truncatingIfNeeded: encoded.count &- rowStart))
    }

    private mutating func take(_ index: Int, double value: Double) {
        let column = plan.columns[index]
        guard column.kind == .number else {
            return take(index, .number) { $0.append(raw: Array(value.description.utf8)) }
        }
        guard value.isFinite else {
            return refuse(index, outOfRange: value.description)
        }
        if column.hasMoreRules {
            return take(index, .number) { ScalarText.append(number: value, to: &$0) }
        }
        if column.isOptional { encoded.append(byte: 2) }
        let start = encoded.count
        // As everywhere, `-0` is `0`.
        encoded.append(double: value == 0 ? 0 : value)
        noteValue(index, from: start)
    }

    /// Bytes become a string, as Avro's resolution has it, and sixteen of them a UUID.
    private mutating func take(_ index: Int, bytes: UnsafeRawBufferPointer) {
        switch plan.columns[index].kind {
        case .string: take(index, .text, bytes)
        case .uuid where bytes.count == 16:
            take(index, .string) { AvroScalars.append(uuid: bytes, to: &$0) }
        default: take(index, .string) { AvroScalars.append(base64: bytes, to: &$0) }
        }
    }

    private mutating func take(_ index: Int, decimal bytes: UnsafeRawBufferPointer, scale: Int) {
        scratch.removeAll()
        guard AvroScalars.append(decimal: bytes, scale: scale, to: &scratch) else {
            return refuse(index, outOfRange: "a decimal of \(bytes.count) bytes")
        }
        let text = scratch.unsafeBytes
        // A decimal is text in JSON too, and yet a number to a column of numbers.
        let isText = plan.columns[index].kind == .string
        take(index, isText ? .string : .number, text)
    }

    private mutating func refuseRange(_ index: Int, whole value: Int64) {
        refuse(index, outOfRange: String(value))
    }

    private mutating func refuse(_ index: Int, outOfRange text: String) {
        spans[index] = .absent
        var text = text
        text.withUTF8 { refuseRange(index, UnsafeRawBufferPointer($0)) }
    }
}

extension ColumnPlan {
    /// Whether a value of the column's own unit needs no rule but its range, and keeps it.
    @inline(__always)
    fileprivate func takesPlainly(_ value: Int64) -> Bool {
        !hasMoreRules && value >= lowest && value <= highest
    }
}
