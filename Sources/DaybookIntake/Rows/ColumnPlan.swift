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
