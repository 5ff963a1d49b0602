import DaybookCatalog

/// Words for people: what is wrong and what would be right, in few bytes.
enum ReasonText {
    /// `text` cut to the limit of a reason's texts, at the end of a Unicode scalar.
    static func cut(_ text: String) -> String {
        guard text.utf8.count > IntakeLimits.reasonByteCount else { return text }
        var bytes = text.utf8.prefix(IntakeLimits.reasonByteCount - 3)
        while String(bytes) == nil { bytes.removeLast() }
        return "\(Substring(bytes))…"
    }

    /// The start of a value, in quotes; bytes that are no UTF-8 show as U+FFFD.
    static func excerpt(_ bytes: UnsafeRawBufferPointer) -> String {
        let limit = 48
        guard bytes.count > limit else { return "\"\(String(decoding: bytes, as: UTF8.self))\"" }
        var end = limit
        while end > limit - 4 && bytes[end] & 0xC0 == 0x80 { end -= 1 }
        let start = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        return "\"\(String(decoding: start, as: UTF8.self))…\""
    }

    /// What a column of a type takes.
    static func expectation(_ type: ColumnType) -> String {
        switch type {
        case .integer: "an integer: digits, with a minus sign if negative"
        case .number: "a number such as 12.5"
        case .decimal(let precision, let scale):
            "a decimal of up to \(precision) digits, \(scale) of them behind the point"
        case .boolean: "true or false"
        case .string: "a text"
        case .date: "a date that exists, such as 2021-11-07"
        case .timestamp: "a time with an offset, such as 2021-11-07T02:48:42Z"
        case .uuid: "a UUID of 36 characters"
        }
    }

    /// What a column of a type can hold.
    static func range(_ type: ColumnType) -> String {
        switch type {
        case .integer: "integers from \(Int64.min) to \(Int64.max)"
        case .number: "finite numbers up to 1.8e308"
        case .decimal(let precision, let scale):
            "\(precision - scale) digits before the point and \(scale) behind it"
        case .date, .timestamp: "the years 0001 to 9999 in UTC"
        case .boolean, .string, .uuid: "any value of its type"
        }
    }
}
