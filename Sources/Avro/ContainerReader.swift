/// Reads an object container file, block by block, from an input that the caller provides.
///
/// Where bytes come by themselves, there is `ContainerDecoder`; this is a loop around it.
///
/// Source: Apache Avro 1.11 specification, "Object Container Files".
public struct ContainerReader: ~Copyable {
    /// Fills the front of the buffer with the file's next bytes and tells how many; 0 at the end.
    public typealias Input = (UnsafeMutableRawBufferPointer) throws -> Int

    /// What stands at the front of the file.
    public let header: ContainerHeader
    private let input: Input
    private var decoder: ContainerDecoder
    private var buffer: ByteSink
    /// How much of the buffer has been used.
    private var used: Int

    /// How many bytes are asked for at a time, at least.
    private static let readByteCount = 64 * 1024

    /// Reads the header. Throws `AvroContainerError`, or what `input` throws.
    public init(limits: ContainerLimits = ContainerLimits(), input: @escaping Input) throws {
        self.input = input
        var decoder = ContainerDecoder(limits: limits)
        var buffer = ByteSink(capacity: Self.readByteCount)
        var isLast = false
        while true {
            switch try decoder.next(buffer.unsafeBytes, isLast: isLast) {
            case .header(let header, let byteCount):
                self.header = header
                used = byteCount
                self.decoder = decoder
                self.buffer = buffer
                return
            case .wants(let count): isLast = !(try Self.fill(&buffer, to: count, from: input))
            case .block, .end: preconditionFailure("a header comes first")
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
        var isLast = false
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: buffer.unsafeBytes[used...])
            switch try decoder.next(rest, isLast: isLast) {
            case .block(let block, let byteCount):
                used += byteCount
                return block
            case .wants(let count):
                buffer.removeFirst(used)
                used = 0
                isLast = !(try Self.fill(&buffer, to: count, from: input))
            case .end: return nil
            case .header: preconditionFailure("the header was read")
            }
        }
    }

    /// Reads on until the buffer has `count` bytes and more; false where the file ends before.
    private static func fill(
        _ buffer: inout ByteSink, to count: Int, from input: Input
    ) throws -> Bool {
        let wanted = max(count, readByteCount)
        while buffer.count < wanted {
            let before = buffer.count
            try buffer.appendUninitialized(upTo: wanted - before) { room in try input(room) }
            if buffer.count == before { return false }
        }
        return true
    }
}
