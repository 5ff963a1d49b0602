import Avro
import DaybookCatalog

extension BatchBuilder {
    /// Takes the open row's value of the column at `index`: appends its Avro bytes and notes where
    /// they stand, or adds a reason. `text` is the value without quotes and escapes.
    @inline(__always)
    mutating func take(_ index: Int, _ form: Form, _ text: UnsafeRawBufferPointer) {
        let column = plan.columns[index]
        if form == .missing || text.count == 0 { return takeMissing(index) }
        guard column.forms & form.rawValue != 0 else {
            return refuseForm(index, form, text)
        }
        let isTrimmed = form == .text && column.kind != .string
        let value = isTrimmed ? Self.trimmed(text) : text
        if isTrimmed && value.count == 0 { return takeMissing(index) }
        if column.isOptional { encoded.append(byte: 2) }
        let start = encoded.count
        do throws(ScalarFault) {
            switch column.kind {
            case .integer:
                try append(whole: ScalarParser.integer(value), column)
            case .string:
                guard appendString(index, column, form, value) else { return dropValue(index) }
            case .timestamp:
                let moment = try ScalarParser.timestamp(value, isUTCAssumed: isFromAvro)
                try append(whole: moment, column)
            case .number, .decimal, .boolean, .date, .uuid:
                try appendOther(column, value)
            }
        } catch {
            refuseFault(index, error, value)
            return dropValue(index)
        }
        let span = ValueSpan(
            start: UInt32(truncatingIfNeeded: start &- rowStart),
            end: UInt32(truncatingIfNeeded: encoded.count &- rowStart))
        if column.hasMoreRules && !keepsRules(index, span, value) { return dropValue(index) }
        spans[index] = span
    }

    /// The bytes of a wrong value may stay: its row is cut off when it is closed.
    private mutating func dropValue(_ index: Int) { spans[index] = .absent }

    /// What becomes of a value that is absent, null or empty.
    mutating func takeMissing(_ index: Int) {
        let column = plan.columns[index]
        spans[index] = .absent
        let fallback = plan.defaults[index]
        if !fallback.isEmpty {
            if column.isOptional { encoded.append(byte: 2) }
            let start = encoded.count
            encoded.append(raw: fallback)
            spans[index] = ValueSpan(
                start: UInt32(start - rowStart), end: UInt32(encoded.count - rowStart))
        } else if column.isOptional {
            encoded.append(byte: 0)
        } else {
            reject(
                .missingField, column: plan.table.columns[index].name,
                "a value is required, and it is absent, null or empty")
        }
    }

    @inline(__always)
    private mutating func append(
        whole value: Int64, _ column: ColumnPlan
    ) throws(ScalarFault) {
        guard value >= column.lowest && value <= column.highest else { throw .outOfRange }
        encoded.append(long: value)
    }

    private mutating func appendOther(
        _ column: ColumnPlan, _ text: UnsafeRawBufferPointer
    ) throws(ScalarFault) {
        switch column.kind {
        case .number: encoded.append(double: try ScalarParser.number(text))
        case .decimal:
            encoded.append(
                decimal: try ScalarParser.decimal(
                    text, precision: Int(column.precision), scale: Int(column.scale)))
        case .boolean: encoded.append(boolean: try ScalarParser.boolean(text))
        case .date: try append(whole: Int64(try ScalarParser.date(text)), column)
        case .uuid:
            let halves = try ScalarParser.uuid(text)
            encoded.append(value: .uuid(high: halves.high, low: halves.low))
        case .integer, .string, .timestamp:
            preconditionFailure("these types are taken where they are met")
        }
    }

    /// Appends a text after its own rules; false if one refused it.
    private mutating func appendString(
        _ index: Int, _ column: ColumnPlan, _ form: Form, _ text: UnsafeRawBufferPointer
    ) -> Bool {
        // A JSON body is UTF-8 as a whole, without control characters in its strings.
        if form == .text && !UTF8Check.isPlain(text) {
            guard !text.contains(0), UTF8Check.isValid(text) else {
                refuseText(index, "the text is not UTF-8, or holds a NUL")
                return false
            }
        }
        if text.count > column.maxLength && UTF8Check.scalarCount(text) > column.maxLength {
            let limit = column.maxLength
            reject(
                .tooLong, column: plan.table.columns[index].name,
                "the text has \(UTF8Check.scalarCount(text)) characters; \(limit) are allowed")
            return false
        }
        if column.hasPattern, let pattern = plan.table.columns[index].pattern,
            !pattern.matches(text)
        {
            reject(
                .patternMismatch, column: plan.table.columns[index].name,
                "\(ReasonText.excerpt(text)) does not match \(pattern.text)")
            return false
        }
        encoded.append(bytes: text)
        return true
    }

    private static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        @inline(__always) func isSpace(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
        }
        var start = 0
        var end = text.count
        while start < end && isSpace(text[start]) { start &+= 1 }
        while end > start && isSpace(text[end &- 1]) { end &-= 1 }
        return UnsafeRawBufferPointer(rebasing: text[start..<end])
    }
}

extension BatchBuilder {
    /// Refuses a text that no column can hold.
    mutating func refuseText(_ index: Int, _ message: String) {
        spans[index] = .absent
        reject(.wrongType, column: plan.table.columns[index].name, message)
    }

    /// Refuses a value whose form the column's type does not take.
    private mutating func refuseForm(
        _ index: Int, _ form: Form, _ text: UnsafeRawBufferPointer
    ) {
        let column = plan.table.columns[index]
        spans[index] = .absent
        let found =
            switch form {
            case .string: "the string \(ReasonText.excerpt(text))"
            case .container: "an object or array"
            default: String(ReasonText.excerpt(text).dropFirst().dropLast())
            }
        reject(
            .wrongType, column: column.name,
            "\(found) is not \(ReasonText.expectation(column.type))")
    }

    /// Refuses a value that its type's parser, or its bounds, did not take.
    private mutating func refuseFault(
        _ index: Int, _ fault: ScalarFault, _ text: UnsafeRawBufferPointer
    ) {
        let column = plan.table.columns[index]
        let code: RejectionCode
        switch fault {
        case .outOfRange: return refuseRange(index, text)
        case .wrongType: code = .wrongType
        case .invalid:
            switch column.type {
            case .date: code = .invalidDate
            case .decimal: code = .invalidDecimal
            case .timestamp: code = .invalidTimestamp
            case .uuid: code = .invalidUUID
            case .integer, .number, .boolean, .string: code = .wrongType
            }
        }
        reject(
            code, column: column.name,
            "\(ReasonText.excerpt(text)) is not \(ReasonText.expectation(column.type))")
    }

    /// Refuses a value that is beyond its type or its bounds.
    mutating func refuseRange(_ index: Int, _ text: UnsafeRawBufferPointer) {
        let column = plan.table.columns[index]
        let minimum = column.minimum.map { "at least \($0.text(type: column.type))" }
        let maximum = column.maximum.map { "at most \($0.text(type: column.type))" }
        let bounds = [minimum, maximum].compactMap(\.self).joined(separator: " and ")
        let allowed =
            bounds.isEmpty
            ? "the column holds \(ReasonText.range(column.type))"
            : "it must be \(bounds)"
        reject(
            .outOfRange, column: column.name,
            "\(ReasonText.excerpt(text)) is out of range: \(allowed)")
    }

    /// Applies the bounds of numbers and decimals, and the enumeration; false if one refused.
    private mutating func keepsRules(
        _ index: Int, _ span: ValueSpan, _ text: UnsafeRawBufferPointer
    ) -> Bool {
        let column = plan.table.columns[index]
        let start = rowStart + Int(span.start)
        if !isWithinBounds(column, from: start) {
            refuseRange(index, text)
            return false
        }
        guard column.oneOf != nil else { return true }
        let value = UnsafeRawBufferPointer(rebasing: encoded.unsafeBytes[start...])
        if plan.allowed[index].contains(where: { $0.elementsEqual(value) }) { return true }
        let values = (column.oneOf ?? []).map { $0.text(type: column.type) }
        reject(
            .notAllowed, column: column.name,
            "\(ReasonText.excerpt(text)) is not one of \(values.joined(separator: ", "))")
        return false
    }

    /// Whether the number or decimal encoded at `start` keeps the column's bounds.
    private func isWithinBounds(_ column: Column, from start: Int) -> Bool {
        let bytes = encoded.unsafeBytes
        switch column.type {
        case .number:
            let bits = bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)
            let value = Double(bitPattern: UInt64(littleEndian: bits))
            if case .number(let minimum) = column.minimum, value < minimum { return false }
            if case .number(let maximum) = column.maximum, value > maximum { return false }
        case .decimal:
            var cursor = ByteCursor(UnsafeRawBufferPointer(rebasing: bytes[start...]))
            guard let value = try? cursor.readDecimal() else { return false }
            if case .decimal(let minimum) = column.minimum, value < minimum { return false }
            if case .decimal(let maximum) = column.maximum, value > maximum { return false }
        case .integer, .date, .timestamp, .boolean, .string, .uuid: break
        }
        return true
    }
}
