import Avro
import DaybookLog

/// What the head file says: how far the log was durable, and how far a projector had confirmed.
public struct HeadRecord: Sendable, Equatable {
    /// Counts writes, so that the younger of the two slots is known.
    var sequence: UInt64
    /// The last durable state when the slot was written.
    public var head: TreeHead
    /// The last checkpoint that Postgres was known to have.
    public var checkpoint: TreeHead?
}

/// Two checksummed slots, written in turn after each sync and never synced themselves.
///
/// Absent or behind is normal: the system had not written it out. Ahead of the log is evidence that
/// the log lost something. Layout: FORMAT.md, "Head file".
struct HeadFile: ~Copyable {
    static let name = "HEAD"
    static let slotByteCount = 512
    private let file: any DiskFile
    private var record: HeadRecord?

    /// Opens or makes the file; slots that do not hold up are passed over.
    init(disk: any LogDisk) throws(DiskError) {
        let opened = try disk.open(HeadFile.name, .readWriteOrCreate)
        let found = try HeadFile.read(opened)
        file = opened
        record = found
    }

    /// What the younger valid slot says, without making the file.
    static func read(disk: any LogDisk) throws(DiskError) -> HeadRecord? {
        guard try disk.names().contains(name) else { return nil }
        return try read(try disk.open(name, .read))
    }

    /// A file's bytes that say no more than `head`.
    static func bytes(head: TreeHead) -> [UInt8] {
        var sink = ByteSink(capacity: slotByteCount)
        HeadRecord(sequence: 1, head: head, checkpoint: nil).append(to: &sink)
        return [UInt8](repeating: 0, count: slotByteCount) + Array(sink.unsafeBytes)
    }

    var last: HeadRecord? { record }

    /// Writes the slot whose turn it is. A failure costs evidence, not data: it is passed over.
    mutating func write(head: TreeHead, checkpoint: TreeHead?) {
        let next = HeadRecord(
            sequence: (record?.sequence ?? 0) + 1, head: head, checkpoint: checkpoint)
        var sink = ByteSink(capacity: HeadFile.slotByteCount)
        next.append(to: &sink)
        let offset = UInt64(HeadFile.slotByteCount) * (next.sequence % 2)
        if (try? file.writeAll(sink.unsafeBytes, at: offset)) != nil { record = next }
    }

    private static func read(_ file: any DiskFile) throws(DiskError) -> HeadRecord? {
        var bytes = [UInt8](repeating: 0, count: 2 * slotByteCount)
        let count: Int
        do {
            count = try bytes.withUnsafeMutableBytes { try file.read($0, at: 0) }
        } catch let error as DiskError {
            throw error
        } catch {
            preconditionFailure("a disk throws DiskError only")
        }
        var youngest: HeadRecord?
        for slot in 0..<2 where count >= slot * slotByteCount + HeadRecord.byteCount {
            let record = bytes.withUnsafeBytes { all in
                HeadRecord(
                    reading: UnsafeRawBufferPointer(rebasing: all[(slot * slotByteCount)...]))
            }
            if let record, record.sequence > youngest?.sequence ?? 0 { youngest = record }
        }
        return youngest
    }
}

extension HeadRecord {
    /// Tag, sequence, ledger, two tree heads, checksum.
    static let byteCount = 8 + 8 + 16 + 2 * (8 + 8 + 32) + 4
    private static let tag = Array("DAYBKHED".utf8)

    fileprivate func append(to sink: inout ByteSink) {
        sink.append(raw: HeadRecord.tag)
        sink.append(littleEndian: sequence)
        sink.append(littleEndian: head.ledger.high.bigEndian)
        sink.append(littleEndian: head.ledger.low.bigEndian)
        for state in [head, checkpoint] {
            sink.append(littleEndian: state?.position ?? -1)
            sink.append(littleEndian: state?.size ?? 0)
            sink.append(raw: state?.root.bytes ?? [UInt8](repeating: 0, count: 32))
        }
        sink.append(littleEndian: StoredChecksum.of(sink.unsafeBytes, salt: []))
        precondition(sink.count == HeadRecord.byteCount, "a head record has a fixed length")
    }

    fileprivate init?(reading bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= HeadRecord.byteCount else { return nil }
        let record = UnsafeRawBufferPointer(rebasing: bytes[..<(HeadRecord.byteCount - 4)])
        let checksum = bytes.loadUnaligned(
            fromByteOffset: HeadRecord.byteCount - 4, as: UInt32.self)
        guard record.prefix(8).elementsEqual(HeadRecord.tag),
            UInt32(littleEndian: checksum) == StoredChecksum.of(record, salt: [])
        else { return nil }
        func word(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: record.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        let ledger = LedgerID(high: word(16).byteSwapped, low: word(24).byteSwapped)
        func state(_ offset: Int) -> TreeHead? {
            let position = Int64(bitPattern: word(offset))
            guard position >= 0 else { return nil }
            let root = UnsafeRawBufferPointer(rebasing: record[(offset + 16)..<(offset + 48)])
            return TreeHead(
                ledger: ledger, size: word(offset + 8), position: position, root: Digest(root))
        }
        guard let head = state(32) else { return nil }
        self.init(sequence: word(8), head: head, checkpoint: state(80))
    }
}
