import Avro

extension ScalarValue {
    /// The value that a dictionary writes as `text` for a column of `type`.
    public init(text: String, type: ColumnType) throws(ScalarFault) {
        let bytes = ContiguousArray(text.utf8)
        // A closure of `withUnsafeBytes` keeps the typed error only if the result carries it.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ScalarFault) in
                try ScalarValue(bytes: buffer, text: text, type: type)
            }
        }
        self = try result.get()
    }

    private init(
        bytes: UnsafeRawBufferPointer, text: String, type: ColumnType
    ) throws(ScalarFault) {
        switch type {
        case .integer: self = .integer(try ScalarParser.integer(bytes))
        case .number: self = .number(try ScalarParser.number(bytes))
        case .decimal(let precision, let scale):
            self = .decimal(
                unscaled: try ScalarParser.decimal(bytes, precision: precision, scale: scale))
        case .boolean: self = .boolean(try ScalarParser.boolean(bytes))
        case .string: self = .string(text)
        case .date: self = .date(days: try ScalarParser.date(bytes))
        case .timestamp: self = .timestamp(microseconds: try ScalarParser.timestamp(bytes))
        case .uuid:
            let halves = try ScalarParser.uuid(bytes)
            self = .uuid(high: halves.high, low: halves.low)
        }
    }

    /// The text of the value, from which `init(text:type:)` makes it again. `type` gives a decimal
    /// its scale; it is the type of the value's own column.
    public func text(type: ColumnType) -> String {
        if case .string(let text) = self { return text }
        var sink = ByteSink(capacity: 48)
        switch self {
        case .integer(let value): ScalarText.append(integer: value, to: &sink)
        case .number(let value): ScalarText.append(number: value, to: &sink)
        case .decimal(let unscaled):
            guard case .decimal(_, let scale) = type else {
                preconditionFailure("a decimal belongs to a column of type decimal")
            }
            ScalarText.append(decimal: unscaled, scale: scale, to: &sink)
        case .boolean(let value): return value ? "true" : "false"
        case .string(let text): return text
        case .date(let days): ScalarText.append(days: days, to: &sink)
        case .timestamp(let value): ScalarText.append(microseconds: value, to: &sink)
        case .uuid(let high, let low): ScalarText.append(uuidHigh: high, low: low, to: &sink)
        }
        return String(decoding: sink.unsafeBytes, as: UTF8.self)
    }
}
