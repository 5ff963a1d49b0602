import DaybookIntake
import DaybookLog

/// What would become of one table's rows in the log if they were judged by another dictionary.
public struct PastVerdicts: Sendable, Equatable {
    /// A row that would be judged otherwise.
    public struct Example: Sendable, Equatable {
        /// Where it stands in the log.
        public let position: Position
        /// The values of its key, as text; empty where the table has no key.
        public let key: [String]
        /// Why it would be rejected, or was: the weightiest reason.
        public let reason: Rejection.Reason
    }

    /// Rows that would change sides.
    public struct Turn: Sendable, Equatable {
        /// How many there are.
        public private(set) var rowCount = 0
        /// How many by the code of the weightiest reason.
        public private(set) var countByCode: [String: Int] = [:]
        /// The first ones.
        public private(set) var examples: [Example] = []

        /// Examples that are kept.
        static let exampleCount = 5

        mutating func add(_ code: String, example: @autoclosure () -> Example) {
            rowCount += 1
            countByCode[code, default: 0] += 1
            if examples.count < Turn.exampleCount { examples.append(example()) }
        }
    }

    /// The table's name.
    public let table: String
    /// Accepted rows that were judged again.
    public internal(set) var acceptedCount = 0
    /// Rejected rows that were judged again.
    public internal(set) var rejectedCount = 0
    /// Accepted rows that would be rejected now, with the reasons of now.
    public internal(set) var rejectedNow = Turn()
    /// Rejected rows that would be accepted now, with the reasons of then.
    public internal(set) var acceptedNow = Turn()

    init(table: String) { self.table = table }
}
