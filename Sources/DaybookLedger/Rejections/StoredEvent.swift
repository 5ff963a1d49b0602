import Avro
import DaybookLog

/// What stands at one position of the log.
public enum StoredEvent: Sendable {
    /// A row that was accepted into `table`.
    case accepted(table: String, batchID: String)
    /// A row that was rejected.
    case rejected(StoredRejection)
    /// One of the ledger's own.
    case control(kind: String, batchID: String)

    /// Finds the event at `position`; nil if the log ends before it. Blocks on the disk.
    ///
    /// - Throws: `LogError` if the log cannot be read, and what the block's decoding throws.
    public static func find(
        at position: Position, in log: any LogSource
    ) throws -> StoredEvent? {
        guard position >= 0, position < log.durable.position,
            let block = try log.blocks(from: position, byteLimit: 1).first
        else { return nil }
        var found: StoredEvent?
        try block.forEachBatch { reader in
            let first = reader.facts.position
            guard (first..<(first + Position(reader.rowCount))).contains(position) else { return }
            found = try StoredEvent(reading: &reader, at: position)
        }
        return found
    }

    private init?(reading reader: inout BatchReader, at position: Position) throws {
        let facts = reader.facts
        var copy = reader
        if let rejection = try StoredRejection(reading: &copy, at: position) {
            self = .rejected(rejection)
            return
        }
        for _ in facts.position..<position {
            guard let branch = try reader.nextBranch() else { return nil }
            try reader.skipRow(branch)
        }
        guard let branch = try reader.nextBranch() else { return nil }
        if branch == reader.schema.controlBranch {
            self = .control(kind: try reader.readControl().kind, batchID: facts.id)
        } else {
            try reader.skipRow(branch)
            self = .accepted(table: facts.table, batchID: facts.id)
        }
    }
}
