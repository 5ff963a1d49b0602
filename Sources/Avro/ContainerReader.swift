/// How much of a container file is held in memory before it is called malformed; in bytes.
public struct ContainerLimits: Hashable, Sendable {
    /// A header's bytes.
    public var headerByteCount: Int
    /// A block's bytes as they stand in the file.
    public var blockByteCount: Int
    /// A block's bytes when decompressed.
    public var contentByteCount: Int

    /// Limits that files of other programs stay far below.
    public init(
        headerByteCount: Int = 16 << 20, blockByteCount: Int = 64 << 20,
        contentByteCount: Int = 256 << 20
    ) {
        precondition(
            headerByteCount > 0 && blockByteCount > 0 && contentByteCount > 0
                && max(headerByteCount, blockByteCount, contentByteCount) <= 1 << 30,
            "a limit is between one byte and a gibibyte")
        self.headerByteCount = headerByteCount
        self.blockByteCount = blockByteCount
        self.contentByteCount = contentByteCount
    }
}

/// A block of a container file: encoded values, decompressed.
public struct ContainerBlock: Sendable {
    /// How many values there are.
    public let count: Int
    /// The values, one behind the other.
    public let bytes: Bytes
    /// Where the block begins in the file, in bytes.
    public let offset: Int

    /// The values as trees. Throws where the block has other than `count` values, and
    /// `.tooManyEmptyItems` for more values without bytes than `limits` allow.
    public func decode(
        with decoder: ResolvingDecoder, limits: AvroLimits = AvroLimits()
    ) throws(AvroDecodingError) -> [AvroValue] {
        try bytes.withUnsafeBytes { raw throws(AvroDecodingError) in
            guard count <= raw.count || count <= limits.emptyItemCount else {
                throw .tooManyEmptyItems
            }
            var values: [AvroValue] = []
            var cursor = ByteCursor(raw)
            for _ in 0..<count { values.append(try decoder.decode(&cursor)) }
            guard cursor.isAtEnd else { throw .bytesLeft(cursor.remaining) }
            return values
        }
    }
}

/// Reads an object container file, block by block, from an input that the caller provides.
///
/// Source: Apache Avro 1.11 specification, "Object Container Files".
public struct ContainerReader: ~Copyable {
    /// Fills the front of the buffer with the file's next bytes and tells how many; 0 at the end.
    public typealias Input = (UnsafeMutableRawBufferPointer) throws -> Int

    /// What stands at the front of the file.
    public let header: ContainerHeader
    private let input: Input
    private let limits: ContainerLimits
    private var buffer: ByteSink
    /// How much of the buffer has been used.
    private var used: Int
    /// Where the buffer begins in the file.
    private var bufferOffset = 0
    private var inflater: Inflater?

    /// How many bytes are asked for at a time, at least.
    private static let readByteCount = 64 * 1024
    /// The longest front of a block: two varints.
    private static let frontByteCountMax = 20

    /// Reads the header. Throws `AvroContainerError`, or what `input` throws.
    public init(limits: ContainerLimits = ContainerLimits(), input: @escaping Input) throws {
        self.limits = limits
        self.input = input
        buffer = ByteSink(capacity: Self.readByteCount)
        (header, used) = try Self.readHeader(into: &buffer, limits: limits, from: input)
        switch header.codec {
        case .null: inflater = nil
        case .deflate: inflater = Inflater()
        }
    }

    /// The header, and how many bytes it has; the buffer may hold more.
    private static func readHeader(
        into buffer: inout ByteSink, limits: ContainerLimits, from input: Input
    ) throws -> (ContainerHeader, byteCount: Int) {
        var wanted = min(readByteCount, limits.headerByteCount)
        while true {
            let isMore = try fill(&buffer, to: wanted, from: input)
            var cursor = ByteCursor(buffer.unsafeBytes)
            do throws(AvroContainerError) {
                let header = try ContainerHeader(from: &cursor)
                return (header, buffer.count - cursor.remaining)
            } catch {
                guard error == .malformed(.truncated), isMore else { throw error }
                guard wanted < limits.headerByteCount else {
                    throw AvroContainerError.headerTooLarge
                }
                wanted = min(wanted * 4, limits.headerByteCount)
            }
        }
    }

    /// Reads the header of a file that is in memory.
    public init(_ bytes: Bytes, limits: ContainerLimits = ContainerLimits()) throws {
        var offset = 0
        try self.init(limits: limits) { room in
            let count = min(room.count, bytes.count - offset)
            bytes.withUnsafeBytes(in: offset..<offset + count) { room.copyMemory(from: $0) }
            offset += count
            return count
        }
    }

    /// The next block; nil at the file's end. Throws `AvroContainerError`, or what the input
    /// throws.
    public mutating func nextBlock() throws -> ContainerBlock? {
        try need(Self.frontByteCountMax)
        guard buffer.count > used else { return nil }
        let offset = bufferOffset + used
        let (count, byteCount) = try readFront()
        guard byteCount <= limits.blockByteCount else {
            throw AvroContainerError.blockTooLarge(byteCount: Int64(byteCount))
        }
        try need(byteCount + SyncMarker.byteCount)
        var cursor = ByteCursor(UnsafeRawBufferPointer(rebasing: buffer.unsafeBytes[used...]))
        guard cursor.remaining >= byteCount + SyncMarker.byteCount else {
            throw AvroContainerError.malformed(.truncated)
        }
        let stored = try cursor.readRaw(byteCount)
        guard try SyncMarker(from: &cursor) == header.syncMarker else {
            throw AvroContainerError.badSyncMarker
        }
        let content =
            inflater == nil
            ? Bytes(copying: stored)
            : try inflater?.decompress(stored, byteCountMax: limits.contentByteCount)
        used += byteCount + SyncMarker.byteCount
        return content.map { ContainerBlock(count: count, bytes: $0, offset: offset) }
    }

    private mutating func readFront() throws(AvroContainerError) -> (count: Int, byteCount: Int) {
        do throws(AvroDecodingError) {
            let front = UnsafeRawBufferPointer(rebasing: buffer.unsafeBytes[used...])
            var cursor = ByteCursor(front)
            let count = try cursor.readLong()
            guard count >= 0 else { throw .badLength(count) }
            let byteCount = try cursor.readLong()
            guard byteCount >= 0 else { throw .badLength(byteCount) }
            used += front.count - cursor.remaining
            return (Int(count), Int(byteCount))
        } catch {
            throw .malformed(error)
        }
    }

    /// Reads on until `count` bytes are at hand, or all that are left.
    private mutating func need(_ count: Int) throws {
        guard buffer.count - used < count else { return }
        buffer.removeFirst(used)
        bufferOffset += used
        used = 0
        _ = try Self.fill(&buffer, to: max(count, Self.readByteCount), from: input)
    }

    /// Reads on until the buffer has `count` bytes; false where the file ends before.
    private static func fill(
        _ buffer: inout ByteSink, to count: Int, from input: Input
    ) throws -> Bool {
        while buffer.count < count {
            let before = buffer.count
            try buffer.appendUninitialized(upTo: count - before) { room in try input(room) }
            if buffer.count == before { return false }
        }
        return true
    }
}
