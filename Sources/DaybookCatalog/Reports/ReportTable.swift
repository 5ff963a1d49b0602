import Avro

/// What a report answers: named columns and rows of text, in one piece of memory.
public struct ReportTable: Sendable {
    /// One column of the answer.
    public struct Column: Sendable, Hashable {
        /// What a value's text means.
        public enum Form: Sendable, Hashable {
            /// `12` or `1.5`, a number in JSON too; `NaN` and `Infinity` are none.
            case number
            /// `true` or `false`.
            case boolean
            /// JSON, which stands in JSON as it is.
            case json
            /// Anything else: text, decimals, days, times in RFC 3339.
            case text
        }
        /// The name that the query gives it.
        public let name: String
        /// The type's name in Postgres.
        public let type: String
        /// What a value's text means.
        public let form: Form

        /// A column.
        public init(name: String, type: String, form: Form) {
            self.name = name
            self.type = type
            self.form = form
        }
    }

    /// In the order of the query.
    public let columns: [Column]
    /// How many rows there are.
    public let rowCount: Int
    /// The values' text, a row after the other.
    private let text: Bytes
    /// Where each value ends in `text`; negative for NULL, which takes no room.
    private let ends: [Int]

    /// Puts a table together from its values in order.
    public struct Builder: ~Copyable {
        private let columns: [Column]
        private var text = ByteSink(capacity: 4096)
        private var ends: [Int] = []

        /// A table without rows; at least one column.
        public init(columns: [Column], rowCount: Int) {
            precondition(!columns.isEmpty || rowCount == 0, "a row has values")
            self.columns = columns
            ends.reserveCapacity(columns.count * rowCount)
        }

        /// The next value: what `write` appends.
        public mutating func append(_ write: (inout ByteSink) -> Void) {
            write(&text)
            ends.append(text.count)
        }

        /// The next value is NULL.
        public mutating func appendNull() { ends.append(~text.count) }

        /// The table of all that was appended.
        public consuming func finish() -> ReportTable {
            ReportTable(columns: columns, text: text.finish(), ends: ends)
        }
    }

    private init(columns: [Column], text: Bytes, ends: [Int]) {
        precondition(
            ends.count.isMultiple(of: max(columns.count, 1)), "every row has all its values")
        self.columns = columns
        self.text = text
        self.ends = ends
        rowCount = columns.isEmpty ? 0 : ends.count / columns.count
    }

    /// Calls `body` with a value's text in UTF-8; nil is NULL.
    public func withValue<R>(
        row: Int, column: Int, _ body: (UnsafeRawBufferPointer?) -> R
    ) -> R {
        precondition(column >= 0 && column < columns.count, "the column is within the table")
        let place = row * columns.count + column
        let end = ends[place]
        guard end >= 0 else { return body(nil) }
        let before = place == 0 ? 0 : ends[place - 1]
        return text.withUnsafeBytes(in: (before < 0 ? ~before : before)..<end) { body($0) }
    }

    /// A value's text; nil is NULL.
    public func value(row: Int, column: Int) -> String? {
        withValue(row: row, column: column) { $0.map { String(decoding: $0, as: UTF8.self) } }
    }
}

/// Why a report has no answer.
public enum ReportError: Error, Sendable, Equatable {
    /// Postgres cannot be reached, or went away: try again.
    case unavailable(String)
    /// As many are being answered and waiting as may be: try again.
    case busy
    /// The query ran longer than it may.
    case timedOut(seconds: Int)
    /// The answer has more rows than it may.
    case tooLarge(rowLimit: Int)
    /// Postgres refused the query: why, and where in the report's file.
    case failed(String)
}

/// Answers reports. Who asks knows no more of Postgres than this.
public protocol ReportSource: Sendable {
    /// Runs a report in a transaction that can only read, with values for all its parameters in
    /// their order.
    func run(
        _ report: Report, arguments: [ScalarValue]
    ) async throws(ReportError) -> ReportTable
}
