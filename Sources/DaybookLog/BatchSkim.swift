import Avro

/// One batch's record, gone over as bytes: nothing is made of its facts, so that whoever looks
/// through a log for a few rows pays for their bytes alone. Where something is found, a
/// `BatchReader` reads the record.
///
/// After `init` the cursor stands before the first row. For every row call `nextBranch()` and then
/// `skipRow(_:)`, or consume the row's bytes from `cursor` by the table's own columns.
public struct BatchSkim {
    /// The first row's position.
    public let position: Position
    /// The table's name in UTF-8; empty for the ledger's own batches. Good while the record is.
    public let table: UnsafeRawBufferPointer
    /// How many rows the batch has, accepted and rejected.
    public let rowCount: Int
    /// The reading place. Whoever reads a row through it must leave it at the row's end.
    public var cursor: ByteCursor
    /// The schema of the segment that the record is in.
    public let schema: LogSchema
    private let start: ByteCursor
    private var rowsLeft: Int

    /// Goes over the facts of the record at `cursor`.
    ///
    /// - Throws: `AvroDecodingError` if the bytes are no batch of `schema`.
    public init(at cursor: ByteCursor, schema: LogSchema) throws(AvroDecodingError) {
        self.schema = schema
        start = cursor
        var cursor = cursor
        position = try cursor.readLong()
        guard position >= 0, position < LogLimits.numberEnd else { throw .badLength(position) }
        try cursor.skipLong()
        try cursor.skipLong()
        for _ in 0..<3 { _ = try cursor.readBytes() }
        try cursor.skipUnion { (c) throws(AvroDecodingError) in _ = try c.readBytes() }
        for _ in 0..<2 { _ = try cursor.readBytes() }
        table = try cursor.readBytes()
        _ = try cursor.readBytes()
        try cursor.skipUnion { (c) throws(AvroDecodingError) in try c.skipLong() }
        for _ in 0..<2 {
            try cursor.skipArray { (c) throws(AvroDecodingError) in
                try c.skipLong()
                try c.skipLong()
            }
        }
        let count = try cursor.readLong()
        // Every row takes at least a byte, so a count beyond that is no count.
        guard count > 0, count <= Int64(cursor.remaining) else { throw .badLength(count) }
        rowCount = Int(count)
        rowsLeft = rowCount
        self.cursor = cursor
    }

    /// A reader of the same record, from its beginning.
    ///
    /// - Throws: `AvroDecodingError` if the bytes are no batch of the schema.
    public func reader() throws(AvroDecodingError) -> BatchReader {
        try BatchReader(at: start, schema: schema)
    }

    /// The branch of the next row, as `BatchReader.nextBranch` gives it; nil after the last row.
    public mutating func nextBranch() throws(AvroDecodingError) -> Int? {
        if rowsLeft == 0 { return nil }
        rowsLeft -= 1
        let branch = try cursor.readLong()
        guard branch >= 0, branch <= Int64(schema.controlBranch) else { throw .badIndex(branch) }
        return Int(branch)
    }

    /// Passes over one row of any branch.
    public mutating func skipRow(_ branch: Int) throws(AvroDecodingError) {
        if branch < schema.tables.count {
            try schema.tables[branch].skip(&cursor)
        } else if branch == schema.rejectionBranch {
            try cursor.skipRejection(hasDigest: schema.keepsDigests)
        } else {
            try cursor.skipControl()
        }
    }

    /// Passes over the rows that are left and the array's end. The next record begins there.
    public mutating func finish() throws(AvroDecodingError) {
        while let branch = try nextBranch() { try skipRow(branch) }
        guard try cursor.readLong() == 0 else { throw .badLength(1) }
    }
}

extension ByteCursor {
    /// Passes over a rejected row; `hasDigest` is the schema's.
    mutating func skipRejection(hasDigest: Bool) throws(AvroDecodingError) {
        _ = try readBytes()
        try skipUnion { (c) throws(AvroDecodingError) in try c.skipLong() }
        try skipArray { (c) throws(AvroDecodingError) in
            _ = try c.readBytes()
            try c.skipUnion { (c) throws(AvroDecodingError) in _ = try c.readBytes() }
            _ = try c.readBytes()
        }
        if hasDigest {
            try skipUnion { (c) throws(AvroDecodingError) in _ = try c.readBytes() }
        }
    }

    /// Passes over one of the ledger's own events.
    fileprivate mutating func skipControl() throws(AvroDecodingError) {
        _ = try readBytes()
        try skipArray { (c) throws(AvroDecodingError) in
            try c.skipLong()
            try c.skipLong()
        }
        _ = try readBytes()
    }

    /// Passes over a union of null and one type.
    fileprivate mutating func skipUnion(
        _ skip: (inout ByteCursor) throws(AvroDecodingError) -> Void
    ) throws(AvroDecodingError) {
        switch try readLong() {
        case 0: break
        case 1: try skip(&self)
        case let branch: throw .badIndex(branch)
        }
    }

    /// Passes over an array in one block, as this format writes it.
    fileprivate mutating func skipArray(
        _ skip: (inout ByteCursor) throws(AvroDecodingError) -> Void
    ) throws(AvroDecodingError) {
        let count = try readLong()
        guard count >= 0, count <= Int64(remaining) else { throw .badLength(count) }
        if count == 0 { return }
        for _ in 0..<count { try skip(&self) }
        guard try readLong() == 0 else { throw .badLength(1) }
    }
}
