import DaybookLog

/// What two sides do not have in common.
public struct RowDifferences: Sendable {
    /// The rows that should be there.
    public internal(set) var expected = RowDigest()
    /// The rows that are there.
    public internal(set) var found = RowDigest()
    /// How many rows should be there and are not.
    public internal(set) var missingCount = 0
    /// How many rows are there and should not be.
    public internal(set) var extraCount = 0
    /// How many rows are there with other values than they should have.
    public internal(set) var differentCount = 0
    /// Missing rows, at most as many as were asked for, in order of position.
    public internal(set) var missing: [LoneRow] = []
    /// Extra rows, at most as many as were asked for, in order of position.
    public internal(set) var extra: [LoneRow] = []
    /// Different rows, at most as many as were asked for, in order of position.
    public internal(set) var different: [ChangedRow] = []

    /// Whether both sides are the same.
    public var isEmpty: Bool { expected == found }
    /// How many rows differ in any way.
    public var count: Int { missingCount + extraCount + differentCount }
}

/// A row that one side has and the other does not.
public struct LoneRow: Sendable, Hashable {
    /// The values of its key, in key order.
    public let key: [CellValue]
    /// The position of its event, as the row says; nil for rows that come of many events.
    public let position: Position?
    /// All its values, in the shape's order.
    public let values: [CellValue]
}

/// A row that both sides have, with other values.
public struct ChangedRow: Sendable, Hashable {
    /// One column's values.
    public struct Cell: Sendable, Hashable {
        /// The column's name.
        public let column: String
        /// What it should be.
        public let expected: CellValue
        /// What it is.
        public let found: CellValue
    }

    /// The values of its key, in key order.
    public let key: [CellValue]
    /// The position of the event that it should come from; nil for rows that come of many.
    public let position: Position?
    /// The columns whose values differ, in the shape's order.
    public let cells: [Cell]
}
