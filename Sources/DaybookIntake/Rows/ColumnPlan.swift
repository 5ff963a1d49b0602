import Avro
import DaybookCatalog

/// The forms in which a field's value can stand in a body, as bits of a set.
struct Form: OptionSet {
    let rawValue: UInt8

    /// CSV: text without a type of its own.
    static let text = Form(rawValue: 1)
    static let string = Form(rawValue: 2)
    static let number = Form(rawValue: 4)
    static let boolean = Form(rawValue: 8)
    /// An object or array.
    static let container = Form(rawValue: 16)
    /// Null, or no field at all.
    static let missing: Form = []
}

/// What is needed for every value of one column, in few bytes and without references.
struct ColumnPlan: Sendable {
    enum Kind: UInt8 { case integer, number, decimal, boolean, string, date, timestamp, uuid }

    let kind: Kind
    let precision: UInt8
    let scale: UInt8
    /// The forms that the type takes.
    let forms: UInt8
    let isOptional: Bool
    let hasPattern: Bool
    /// Whether there are bounds or an enumeration beside `lowest` and `highest`.
    let hasMoreRules: Bool
    /// The bounds of integers, dates and timestamps.
    let lowest: Int64
    let highest: Int64
    /// The bound of a string's Unicode scalars.
    let maxLength: Int

    init(_ column: Column) {
        var precision = 0
        var scale = 0
        var forms: Form = [.text, .string]
        switch column.type {
        case .integer:
            kind = .integer
            forms = [.text, .number]
        case .number:
            kind = .number
            forms = [.text, .number]
        case .decimal(let digits, let places):
            kind = .decimal
            precision = digits
            scale = places
            forms = [.text, .number, .string]
        case .boolean:
            kind = .boolean
            forms = [.text, .boolean]
        case .string: kind = .string
        case .date: kind = .date
        case .timestamp: kind = .timestamp
        case .uuid: kind = .uuid
        }
        self.forms = forms.rawValue
        self.precision = UInt8(precision)
        self.scale = UInt8(scale)
        isOptional = column.isOptional
        hasPattern = column.pattern != nil
        lowest = Self.whole(column.minimum) ?? .min
        highest = Self.whole(column.maximum) ?? .max
        maxLength = column.maxLength ?? .max
        let hasOtherBounds =
            (column.minimum != nil && Self.whole(column.minimum) == nil)
            || (column.maximum != nil && Self.whole(column.maximum) == nil)
        hasMoreRules = hasOtherBounds || column.oneOf != nil
    }

    private static func whole(_ value: ScalarValue?) -> Int64? {
        switch value {
        case .integer(let value): value
        case .date(let days): Int64(days)
        case .timestamp(let microseconds): microseconds
        default: nil
        }
    }
}

extension ByteSink {
    /// Appends a value as Avro's binary encoding has it, in the one form that intake writes.
    public mutating func append(value: ScalarValue) {
        switch value {
        case .integer(let value): append(long: value)
        case .number(let value): append(double: value)
        case .decimal(let unscaled): append(decimal: unscaled)
        case .boolean(let value): append(boolean: value)
        case .string(let text): append(string: text)
        case .date(let days): append(long: Int64(days))
        case .timestamp(let microseconds): append(long: microseconds)
        case .uuid(let high, let low):
            append(long: 36)
            ScalarText.append(uuidHigh: high, low: low, to: &self)
        }
    }

    /// Appends a decimal's unscaled value as Avro `bytes`: two's complement, big-endian, as short
    /// as it can be.
    public mutating func append(decimal unscaled: Int128) {
        // The bits that say more than the sign, and one for the sign itself.
        let significant = unscaled < 0 ? ~unscaled : unscaled
        let count = (128 - significant.leadingZeroBitCount) / 8 + 1
        append(long: Int64(count))
        for index in stride(from: count - 1, through: 0, by: -1) {
            append(byte: UInt8(truncatingIfNeeded: unscaled >> Int128(index * 8)))
        }
    }
}
