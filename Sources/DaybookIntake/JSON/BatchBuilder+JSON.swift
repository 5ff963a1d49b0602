import Avro
import CSimdjson
import DaybookCatalog

extension BatchBuilder {
    /// Judges one row of a parsed body. `fields` are its own; `placeOf` has room for every column.
    mutating func judge(
        _ row: djs_row, fields: UnsafePointer<djs_field>, body: UnsafeRawPointer,
        placeOf: UnsafeMutablePointer<Int32>, lineSkip: Int
    ) {
        let start = Int(row.start)
        let original = start..<(start + Int(row.count))
        begin()
        if let fault = row.fault {
            reject(.malformedRow, "the row is not JSON: \(String(cString: fault))")
            return closeUnread(original: original, lineSkip: lineSkip)
        }
        guard row.kind == DJS_OBJECT.rawValue else {
            reject(.malformedRow, "the row is not an object such as {\"name\": value, …}")
            return closeUnread(original: original, lineSkip: lineSkip)
        }
        place(fields, count: Int(row.field_count), body: body, placeOf: placeOf)
        for index in 0..<plan.columns.count {
            let place = placeOf[index]
            if place < 0 {
                takeMissing(index)
            } else {
                take(index, fields[Int(place)], body: body)
            }
        }
        close(original: original, lineSkip: lineSkip)
    }

    /// Finds the field of every column. Rows have their fields in the columns' order nearly always,
    /// so the column behind the last one found is tried first.
    @inline(__always)
    private mutating func place(
        _ fields: UnsafePointer<djs_field>, count: Int, body: UnsafeRawPointer,
        placeOf: UnsafeMutablePointer<Int32>
    ) {
        for index in 0..<plan.columns.count { placeOf[index] = -1 }
        var guess = 0
        for index in 0..<count {
            let field = fields[index]
            var name = UnsafeRawBufferPointer(
                start: body + Int(field.key_start), count: Int(field.key_count))
            if field.flags & UInt8(DJS_KEY_ESCAPED) != 0 {
                scratch.removeAll()
                guard JSONText.unescape(name, into: &scratch) == nil else {
                    // No column has a name that is no text.
                    refuseUnknown(name)
                    continue
                }
                name = scratch.unsafeBytes
            }
            guard let column = plan.column(named: name, guess: guess) else {
                refuseUnknown(name)
                continue
            }
            if placeOf[column] >= 0 {
                reject(
                    .duplicateField, column: plan.table.columns[column].name,
                    "the column has more than one value; send it once")
            } else {
                placeOf[column] = Int32(truncatingIfNeeded: index)
            }
            guess = column &+ 1
        }
    }

    private mutating func refuseUnknown(_ name: UnsafeRawBufferPointer) {
        guard plan.table.unknownFields == .reject, !isFromAvro else { return }
        let table = plan.table.name
        reject(
            .unknownField, column: String(decoding: name, as: UTF8.self),
            "the table \(table) has no such column")
    }

    /// Takes the value of a column from a JSON field.
    @inline(__always)
    private mutating func take(
        _ index: Int, _ field: djs_field, body: UnsafeRawPointer
    ) {
        let text = UnsafeRawBufferPointer(
            start: body + Int(field.value_start), count: Int(field.value_count))
        switch UInt32(field.kind) {
        case DJS_STRING.rawValue:
            if field.flags & UInt8(DJS_VALUE_ESCAPED) != 0 {
                takeEscaped(index, text)
            } else {
                take(index, .string, text)
            }
        case DJS_NUMBER.rawValue: take(index, .number, text)
        case DJS_TRUE.rawValue, DJS_FALSE.rawValue: take(index, .boolean, text)
        case DJS_NULL.rawValue: takeMissing(index)
        default: take(index, .container, text)
        }
    }

    private mutating func takeEscaped(_ index: Int, _ text: UnsafeRawBufferPointer) {
        scratch.removeAll()
        let fault = JSONText.unescape(text, into: &scratch)
        let plain = scratch.unsafeBytes
        switch fault {
        case nil: take(index, .string, plain)
        case .loneSurrogate: refuseText(index, "the text holds half of a surrogate pair")
        case .zero: refuseText(index, "the text holds a NUL (\\u0000), which no text can")
        }
    }
}
