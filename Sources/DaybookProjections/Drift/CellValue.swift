import Avro
import DaybookCatalog

/// One value of a row as people and scripts see it: integers, numbers and booleans as they are, all
/// else as the text that the interface has for its type.
public enum CellValue: Sendable, Hashable, CustomStringConvertible {
    case null
    case integer(Int64)
    /// A finite number.
    case number(Double)
    case boolean(Bool)
    /// A string, a decimal, a date, a time in UTC, a UUID; and what no column should hold, such as
    /// `NaN` or `infinity`, as Postgres writes it.
    case text(String)

    /// The value's text; `null` for none.
    public var description: String {
        switch self {
        case .null: "null"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .boolean(let value): value ? "true" : "false"
        case .text(let text): text
        }
    }
}

/// How a column's values stand in a binary COPY.
enum CellForm: Sendable, Hashable {
    case integer, number, boolean, string, date, timestamp, uuid
    /// With the scale that every value of the column has, if it has one.
    case numeric(scale: Int?)

    init(_ type: ColumnType) {
        self =
            switch type {
            case .integer: .integer
            case .number: .number
            case .decimal(_, let scale): .numeric(scale: scale)
            case .boolean: .boolean
            case .string: .string
            case .date: .date
            case .timestamp: .timestamp
            case .uuid: .uuid
            }
    }

    /// A value of the type, as a literal.
    var anyValue: String {
        switch self {
        case .integer, .number, .numeric: "'0'"
        case .boolean: "'false'"
        case .string: "''"
        case .date, .timestamp: "'epoch'"
        case .uuid: "'00000000-0000-0000-0000-000000000000'"
        }
    }

    /// The value of a field, its length before it.
    ///
    /// Source: the `*_send` functions of PostgreSQL's types.
    func value(_ field: UnsafeRawBufferPointer) -> CellValue {
        if Int32(bigEndian: field.loadUnaligned(as: Int32.self)) < 0 { return .null }
        let bytes = UnsafeRawBufferPointer(rebasing: field.dropFirst(4))
        func load<Value: FixedWidthInteger>(_ type: Value.Type) -> Value {
            precondition(bytes.count == MemoryLayout<Value>.size, "a field has its type's length")
            return Value(bigEndian: bytes.loadUnaligned(as: Value.self))
        }
        switch self {
        case .integer: return .integer(load(Int64.self))
        case .boolean: return .boolean(load(UInt8.self) != 0)
        case .string: return .text(String(decoding: bytes, as: UTF8.self))
        case .date: return .text(TimeCell.text(days: load(Int32.self)))
        case .timestamp: return .text(TimeCell.text(microseconds: load(Int64.self)))
        case .numeric: return .text(NumericCell.text(bytes))
        case .number:
            let number = Double(bitPattern: load(UInt64.self))
            if number.isFinite { return .number(number) }
            return .text(number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity")
        case .uuid:
            let bits = load(UInt128.self)
            return .text(
                ScalarValue.uuid(
                    high: UInt64(truncatingIfNeeded: bits >> 64),
                    low: UInt64(truncatingIfNeeded: bits)
                ).text(type: .uuid))
        }
    }
}

/// A `numeric` as text.
///
/// Source: PostgreSQL, `numeric_send`: count of digits to base 10,000, weight of the first, sign,
/// scale, each 16 bits, then the digits.
enum NumericCell {
    /// Where the scale stands in a field, its length before it.
    static let scaleOffset = 4 + 6

    static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        func word(_ index: Int) -> UInt16 {
            UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
        }
        let (count, weight, scale) = (Int(word(0)), Int(Int16(bitPattern: word(1))), Int(word(3)))
        switch word(2) {
        case 0xC000: return "NaN"
        case 0xD000: return "Infinity"
        case 0xF000: return "-Infinity"
        default: break
        }
        /// The four digits of a group, counted from the point: 0 is the one before it.
        func group(_ place: Int) -> String {
            let index = weight - place
            let text = index >= 0 && index < count ? String(word(4 + index)) : "0"
            return String(repeating: "0", count: 4 - text.count) + text
        }
        let whole = (weight < 0 ? [] : (0...weight).reversed().map(group)).joined()
        let fraction = (0..<(scale + 3) / 4).map { group(-1 - $0) }.joined().prefix(scale)
        let digits = whole.drop { $0 == "0" }
        return (word(2) == 0x4000 ? "-" : "") + (digits.isEmpty ? "0" : String(digits))
            + (scale > 0 ? "." + fraction : "")
    }
}

/// Dates and times from Postgres's epoch as text, whatever a hand may have put there.
enum TimeCell {
    static func text(days: Int32) -> String {
        switch days {
        case .max: return "infinity"
        case .min: return "-infinity"
        default: return date(days: Int(days) + Int(PostgresEpoch.days))
        }
    }

    static func text(microseconds: Int64) -> String {
        switch microseconds {
        case .max: return "infinity"
        case .min: return "-infinity"
        default: break
        }
        let perDay = Civil.microsecondsPerDay
        let ofDay = (microseconds % perDay + perDay) % perDay
        let days = Int((microseconds - ofDay) / perDay) + Int(PostgresEpoch.days)
        // The time of day, cut from a time of the first day.
        let time = ScalarValue.timestamp(microseconds: ofDay).text(type: .timestamp)
        return date(days: days) + time.dropFirst("1970-01-01".count)
    }

    /// ISO 8601: years before 1 are 0, -1 and so on.
    private static func date(days: Int) -> String {
        let (year, month, day) = Civil.date(days: days)
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value.magnitude)
            let zeros = String(repeating: "0", count: max(0, width - digits.count))
            return (value < 0 ? "-" : "") + zeros + digits
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }
}
