import Avro
import Postgres

/// Rows held in memory, as they stand in a binary COPY.
final class HeldRows: RowSide {
    private var bytes = ByteSink(capacity: 256)
    private var ends = [0]

    var count: Int { ends.count - 1 }
    var byteCount: Int { bytes.count }

    func add(_ row: UnsafeRawBufferPointer) {
        bytes.append(raw: row)
        ends.append(bytes.count)
    }

    /// Adds a row of these fields, each with its length before it.
    func add(fields: UnsafeRawBufferPointer, count: Int) {
        bytes.append(bigEndian: Int16(count))
        bytes.append(raw: fields)
        ends.append(bytes.count)
    }

    func forEachRow(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        for (start, end) in zip(ends, ends.dropFirst()) {
            try body(UnsafeRawBufferPointer(rebasing: bytes.unsafeBytes[start..<end]))
        }
    }

    /// Puts all rows into columns of a table: `target` is what stands after COPY.
    func copy(into target: String, _ connection: PostgresConnection) throws {
        _ = try connection.copyIn("COPY \(target) FROM STDIN (FORMAT binary)") { writer in
            try writer.write(BinaryCopy.header)
            try writer.write(bytes.unsafeBytes)
            try writer.write(BinaryCopy.trailer)
        }
    }
}

/// The keys whose rows differ, all of them, as far as they are kept: what a repair puts right.
final class DifferingRows {
    /// The keys, one a row.
    let keys = HeldRows()
    private(set) var keyHashes: Set<UInt128> = []
    /// All rows of these keys that should be there.
    let rows = HeldRows()
    /// Whether there were more than are kept.
    private(set) var isCut = false
    private let byteLimit: Int

    init(byteLimit: Int) {
        self.byteLimit = byteLimit
    }

    func add(key fields: UnsafeRawBufferPointer, fieldCount: Int, hash: UInt128) {
        guard hasRoom, keyHashes.insert(hash).inserted else { return }
        keys.add(fields: fields, count: fieldCount)
    }

    func add(expected row: UnsafeRawBufferPointer) {
        if hasRoom { rows.add(row) }
    }

    private var hasRoom: Bool {
        // A key's hash takes some 32 bytes of the set.
        isCut = isCut || keys.byteCount + rows.byteCount + keyHashes.count * 32 > byteLimit
        return !isCut
    }
}
