import Avro

/// Reads one batch's record, front to back, without building its rows.
///
/// After `init` the facts are known and the cursor stands before the first row. For every row call
/// `nextBranch()` and then exactly one of: `readRow(_:)`, `readRejection()`, `readControl()`, or
/// consume the row's bytes from `cursor` by the table's own columns (the projector's hot path).
public struct BatchReader {
    /// What the record says before its rows.
    public let facts: BatchFacts
    /// How many rows the batch has, accepted and rejected.
    public let rowCount: Int
    /// The schema of the segment that the record is in.
    public let schema: LogSchema
    /// The reading place. Whoever reads a row through it must leave it at the row's end.
    public var cursor: ByteCursor
    private var rowsLeft: Int
    private let start: UnsafeRawPointer
    /// The record's end, once it was reached.
    private var end: UnsafeRawPointer?

    /// Reads the facts of the record at `cursor`.
    ///
    /// - Throws: `AvroDecodingError` if the bytes are no batch of `schema`.
    public init(at cursor: ByteCursor, schema: LogSchema) throws(AvroDecodingError) {
        self.schema = schema
        start = cursor.address
        var cursor = cursor
        facts = try BatchFacts(reading: &cursor)
        let count = try cursor.readLong()
        // Every row takes at least a byte, so a count beyond that is no count.
        guard count >= 0, count <= Int64(cursor.remaining) else { throw .badLength(count) }
        rowCount = Int(count)
        rowsLeft = Int(count)
        self.cursor = cursor
        if count == 0 { throw .badLength(0) }
    }

    /// The branch of the next row: a table's index, `schema.rejectionBranch` or
    /// `schema.controlBranch`; nil after the last row.
    @inlinable public mutating func nextBranch() throws(AvroDecodingError) -> Int? {
        guard try beginRow() else { return nil }
        let branch = try cursor.readLong()
        guard branch >= 0, branch <= Int64(schema.controlBranch) else { throw .badIndex(branch) }
        return Int(branch)
    }

    @usableFromInline mutating func beginRow() throws(AvroDecodingError) -> Bool {
        if rowsLeft == 0 { return false }
        rowsLeft -= 1
        return true
    }

    /// Passes over a table's row and gives its Avro bytes.
    public mutating func readRow(
        _ branch: Int
    ) throws(AvroDecodingError) -> UnsafeRawBufferPointer {
        precondition(branch < schema.tables.count, "only a table's row is read as one")
        let first = cursor.address
        try schema.tables[branch].skip(&cursor)
        return UnsafeRawBufferPointer(start: first, count: cursor.address - first)
    }

    /// Reads a rejected row.
    public mutating func readRejection() throws(AvroDecodingError) -> Rejection {
        let raw = Array(try cursor.readBytes())
        let rawLength = try cursor.readUnion { (c) throws(AvroDecodingError) in try c.readLong() }
        let reasons = try cursor.readArray { (c) throws(AvroDecodingError) in
            Rejection.Reason(
                code: try c.readString(),
                column: try c.readUnion { (c) throws(AvroDecodingError) in try c.readString() },
                message: try c.readString())
        }
        let digest = schema.keepsDigests ? try readDigest() : nil
        guard digest == nil || raw.isEmpty else { throw .badLength(Int64(raw.count)) }
        return Rejection(raw: raw, rawLength: rawLength, reasons: reasons, digest: digest)
    }

    private mutating func readDigest() throws(AvroDecodingError) -> [UInt8]? {
        let digest = try cursor.readUnion { (c) throws(AvroDecodingError) in
            Array(try c.readBytes())
        }
        guard let digest else { return nil }
        guard digest.count == Digest.byteCount else { throw .badLength(Int64(digest.count)) }
        return digest
    }

    /// Reads one of the ledger's own events.
    public mutating func readControl() throws(AvroDecodingError) -> Control {
        let kind = try cursor.readString()
        let ranges = try cursor.readArray { (c) throws(AvroDecodingError) -> Range<Position> in
            let first = try c.readLong()
            let end = try c.readLong()
            guard first >= 0, end >= first else { throw .badLength(end) }
            return first..<end
        }
        return Control(kind: kind, refersTo: ranges, text: Array(try cursor.readBytes()))
    }

    /// Passes over one row of any branch.
    public mutating func skipRow(_ branch: Int) throws(AvroDecodingError) {
        if branch < schema.tables.count {
            try schema.tables[branch].skip(&cursor)
        } else if branch == schema.rejectionBranch {
            try cursor.skipRejection(hasDigest: schema.keepsDigests)
        } else {
            _ = try readControl()
        }
    }

    /// Passes over the rows that are left and the array's end; gives the whole record's bytes.
    /// May be called again.
    public mutating func finish() throws(AvroDecodingError) -> UnsafeRawBufferPointer {
        if let end { return UnsafeRawBufferPointer(start: start, count: end - start) }
        while let branch = try nextBranch() { try skipRow(branch) }
        guard try cursor.readLong() == 0 else { throw .badLength(1) }
        end = cursor.address
        return UnsafeRawBufferPointer(start: start, count: cursor.address - start)
    }
}

extension BatchFacts {
    /// Reads all fields of a batch's record before `rows`.
    init(reading cursor: inout ByteCursor) throws(AvroDecodingError) {
        position = try cursor.readLong()
        guard position >= 0, position < LogLimits.numberEnd else { throw .badLength(position) }
        receivedAt = try cursor.readLong()
        clock = try cursor.readLong()
        id = try cursor.readString()
        source = try cursor.readString()
        principal = try cursor.readString()
        idempotencyKey = try cursor.readUnion { (c) throws(AvroDecodingError) in
            try c.readString()
        }
        requestDigest = Array(try cursor.readBytes())
        dictionary = try cursor.readString()
        table = try cursor.readString()
        format = try cursor.readString()
        firstLine = try cursor.readUnion { (c) throws(AvroDecodingError) in try c.readLong() }
        lineSkips = try cursor.readArray { (c) throws(AvroDecodingError) in
            LineSkip(row: Int(try c.readLong()), lines: try c.readLong())
        }
        corrects = try cursor.readArray { (c) throws(AvroDecodingError) in
            Correction(row: Int(try c.readLong()), position: try c.readLong())
        }
    }
}

extension ByteCursor {
    /// A union of null and one type.
    mutating func readUnion<T>(
        _ read: (inout ByteCursor) throws(AvroDecodingError) -> T
    ) throws(AvroDecodingError) -> T? {
        switch try readLong() {
        case 0: nil
        case 1: try read(&self)
        case let branch: throw .badIndex(branch)
        }
    }

    /// An array in one block, as this format writes it.
    mutating func readArray<T>(
        _ read: (inout ByteCursor) throws(AvroDecodingError) -> T
    ) throws(AvroDecodingError) -> [T] {
        let count = try readLong()
        guard count >= 0, count <= Int64(remaining) else { throw .badLength(count) }
        if count == 0 { return [] }
        var values: [T] = []
        for _ in 0..<count { values.append(try read(&self)) }
        guard try readLong() == 0 else { throw .badLength(1) }
        return values
    }
}
