import Avro
import DaybookLog
import Glibc

/// A segment on disk, as far as its header and Avro header say.
struct SegmentFile: Sendable {
    let name: String
    let header: SegmentHeader
    let schema: LogSchema
    /// Where the first block, or whatever follows the Avro header, starts.
    let blocksOffset: UInt64
    /// Whether the header on disk cannot be read, and this one was made up. Its salt is then one of
    /// the same effect, and the file is only read.
    var isHeaderLost = false

    /// The name of the segment that begins at `position`: twenty digits, so that names sort.
    static func name(basePosition position: Position) -> String {
        let digits = String(position)
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits + suffix
    }

    /// The position in a segment's name, or nil if the file is not called like one.
    static func basePosition(name: String) -> Position? {
        guard name.hasSuffix(suffix) else { return nil }
        let digits = name.dropLast(suffix.utf8.count)
        guard digits.utf8.count == 20, let position = Position(digits), position >= 0,
            self.name(basePosition: position) == name
        else { return nil }
        return position
    }

    static let suffix = ".avro.lz4"
    static let temporarySuffix = ".tmp"

    /// Reads and checks both headers of a segment. `known` is the schema that it probably has: the
    /// segment's before it, which need not be made again. `isNamed`: whether the file must have the
    /// name that the header says, as it must unless a repair looks for what was swapped.
    ///
    /// - Throws: `SegmentFault.frame` if they are not valid.
    static func open(
        _ name: String, on disk: any LogDisk, known: LogSchema? = nil, isNamed: Bool = true
    ) throws(SegmentFault) -> (SegmentFile, any DiskFile) {
        let file: any DiskFile
        do { file = try disk.open(name, .read) } catch { throw .disk(error) }
        let window = FileWindow(file)
        let front = try window.bytes(at: 0, count: SegmentHeader.maximumByteCount)
        let (header, count) = try SegmentFault.checked { () throws(FrameFault) in
            try SegmentHeader.read(front)
        }
        let ownName = self.name(basePosition: header.basePosition)
        guard ownName == name || !isNamed else { throw .frame(.misplaced) }
        let stored = try window.bytes(at: UInt64(count), count: Int(header.schemaStoredByteCount))
        guard stored.count == Int(header.schemaStoredByteCount) else { throw .frame(.truncated) }
        let schema = try SegmentFault.checked { () throws(FrameFault) in
            try readSchema(stored, header: header, known: known)
        }
        let segment = SegmentFile(
            name: ownName, header: header, schema: schema,
            blocksOffset: UInt64(count) + UInt64(header.schemaStoredByteCount))
        return (segment, file)
    }

    private static func readSchema(
        _ stored: UnsafeRawBufferPointer, header: SegmentHeader, known: LogSchema?
    ) throws(FrameFault) -> LogSchema {
        var decompressor = LZ4Decompressor()
        let content = try decompressor.decompress(
            stored, contentByteCount: Int(header.schemaByteCount))
        guard Digest(of: content.unsafeBytes) == header.schemaDigest else { throw .badContent }
        if let known, isHeader(content.unsafeBytes, of: known, sync: header.sync) { return known }
        return try schema(ofAvroHeader: content.unsafeBytes, sync: header.sync)
    }

    /// What an Avro header says, which has this sync marker.
    static func schema(
        ofAvroHeader bytes: UnsafeRawBufferPointer, sync: [UInt8]
    ) throws(FrameFault) -> LogSchema {
        do {
            var cursor = ByteCursor(bytes)
            let avro = try ContainerHeader.facts(from: &cursor)
            guard avro.codec == .null, avro.syncMarker.bytes == sync, cursor.isAtEnd else {
                throw FrameFault.badContent
            }
            return try LogSchema(json: avro.schemaText)
        } catch {
            throw .badContent
        }
    }

    /// Writes a new segment, so that it is there whole or not at all: under another name first,
    /// synced, renamed, the folder synced.
    ///
    /// - Parameter isReplacing: whether a segment without blocks may be there under the same name.
    static func create(
        _ header: SegmentHeader, schema: LogSchema, on disk: any LogDisk,
        isReplacing: Bool = false
    ) throws(DiskError) -> (SegmentFile, any DiskFile) {
        var header = header
        let name = name(basePosition: header.basePosition)
        let avro = avroHeader(schema, sync: header.sync)
        precondition(avro.count <= LogLimits.schemaByteCount, "a schema is within its limit")
        var compressor = LZ4Compressor()
        var stored = ByteSink()
        avro.withUnsafeBytes { compressor.compress($0, into: &stored) }
        header.schemaDigest = avro.withUnsafeBytes { Digest(of: $0) }
        header.schemaByteCount = UInt32(avro.count)
        header.schemaStoredByteCount = UInt32(stored.count)
        var sink = ByteSink(capacity: 8192)
        header.append(to: &sink)
        sink.append(raw: stored.unsafeBytes)

        let temporary = name + temporarySuffix
        let names = try disk.names()
        if names.contains(name), !isReplacing {
            throw DiskError(call: "rename", file: name, code: SystemErrorCode.exists)
        }
        if names.contains(temporary) { try disk.remove(temporary) }
        let file = try disk.open(temporary, .create)
        try file.writeAll(sink.unsafeBytes, at: 0)
        try file.sync()
        try disk.rename(temporary, to: name)
        do throws(DiskError) {
            try disk.syncFolder()
        } catch {
            // The name is there, and may be gone after a crash: as after any failed sync, nothing
            // may be written to it.
            throw DiskError(call: "fsync", file: error.file, code: error.code)
        }
        let segment = SegmentFile(
            name: name, header: header, schema: schema, blocksOffset: UInt64(sink.count))
        return (segment, file)
    }

    private static func isHeader(
        _ bytes: UnsafeRawBufferPointer, of schema: LogSchema, sync: [UInt8]
    ) -> Bool {
        avroHeader(schema, sync: sync).withUnsafeBytes { known in
            guard bytes.count == known.count, let one = bytes.baseAddress,
                let other = known.baseAddress
            else { return false }
            return memcmp(one, other, bytes.count) == 0
        }
    }

    static func avroHeader(_ schema: LogSchema, sync: [UInt8]) -> [UInt8] {
        schema.containerPrefix + sync
    }
}

/// What kept a segment from being read.
enum SegmentFault: Error, Equatable {
    case disk(DiskError)
    case frame(FrameFault)

    /// Runs `body` and wraps what it throws.
    static func checked<T>(
        _ body: () throws(FrameFault) -> T
    ) throws(SegmentFault) -> T {
        do { return try body() } catch { throw .frame(error) }
    }
}

/// A moving view of a file: large reads, small looks. One user at a time.
final class FileWindow {
    private let file: any DiskFile
    private var start: UInt64 = 0
    private var buffer: UnsafeMutableRawBufferPointer
    private var count = 0
    private static let readByteCount = 1 << 20

    init(_ file: any DiskFile) {
        self.file = file
        buffer = .allocate(byteCount: FileWindow.readByteCount, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// Up to `wanted` bytes at `offset`; fewer only at the file's end. Valid until the next call.
    func bytes(
        at offset: UInt64, count wanted: Int
    ) throws(SegmentFault) -> UnsafeRawBufferPointer {
        precondition(wanted >= 0 && wanted <= LogLimits.segmentByteCount, "a look has a limit")
        let isInside =
            offset >= start && offset + UInt64(wanted) <= start + UInt64(count)
        if !isInside { try fill(at: offset, wanted) }
        let first = Int(offset - start)
        let available = min(wanted, count - first)
        return UnsafeRawBufferPointer(rebasing: buffer[first..<(first + available)])
    }

    private func fill(at offset: UInt64, _ wanted: Int) throws(SegmentFault) {
        if wanted > buffer.count {
            buffer.deallocate()
            buffer = .allocate(byteCount: wanted + FileWindow.readByteCount, alignment: 16)
        }
        count = 0
        start = offset
        do { count = try file.read(buffer, at: offset) } catch { throw .disk(error) }
    }
}
