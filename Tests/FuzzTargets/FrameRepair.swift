import Avro
import DaybookLog

/// Makes the checksums of a mutated segment valid again, so that what stands under them is read:
/// an attacker's segment, or a bug of the writer.
///
/// Places are those of eventlog/FORMAT.md, written down here a second time on purpose.
struct FrameRepair {
    /// What is made right; what is not stays as it was mutated.
    struct Parts: OptionSet {
        let rawValue: UInt8
        /// Checksums of frames and bodies, and the schema's digest.
        static let checksums = Parts(rawValue: 1)
        /// Ledger, segment and block numbers, offsets, lengths of frames.
        static let places = Parts(rawValue: 2)
        /// Counts, positions and times, as the records have them.
        static let counts = Parts(rawValue: 4)
        /// Tree sizes and roots.
        static let roots = Parts(rawValue: 8)
        /// The check byte of LZ4 frame descriptors.
        static let descriptors = Parts(rawValue: 16)
    }

    private var image: [UInt8]
    private let parts: Parts
    private var salt: [UInt8] = []
    private var state: State?

    /// Where the chain of blocks stands.
    private struct State {
        let header: SegmentHeader
        let schema: LogSchema
        var block: UInt64
        var position: Position
        var frontier: MerkleFrontier
        var lastReceivedAt: Microseconds
    }

    static func repaired(_ image: [UInt8], _ parts: Parts) -> [UInt8] {
        var repair = FrameRepair(image: image, parts: parts)
        guard var offset = repair.header() else { return repair.image }
        while let next = repair.frame(at: offset), next > offset { offset = next }
        return repair.image
    }

    private init(image: [UInt8], parts: Parts) {
        self.image = image
        self.parts = parts
    }

    // MARK: The segment's header

    /// Mends both headers; where the first frame starts, or nil if there is no header.
    private mutating func header() -> Int? {
        guard let byteCount = frameByteCount(at: 0), byteCount >= 200 else { return nil }
        salt = Array(image[68..<84])
        let storedByteCount = Int(load(UInt32.self, at: 152))
        let content = schema(at: byteCount, storedByteCount, Int(load(UInt32.self, at: 148)))
        if parts.contains(.checksums), let content {
            store(Digest(of: content.unsafeBytes), at: 116)
        }
        if parts.contains(.roots) { mendFrontier(byteCount) }
        mendChecksum(at: 0, byteCount, salt: [])
        guard let (header, _) = try? image.withUnsafeBytes({ try SegmentHeader.read($0) }) else {
            return nil
        }
        if let content, let schema = FrameRepair.schema(content) {
            state = State(
                header: header, schema: schema, block: header.firstBlock,
                position: header.basePosition, frontier: header.frontier,
                lastReceivedAt: header.lastReceivedAt)
        }
        let end = byteCount + storedByteCount
        return end <= image.count ? end : nil
    }

    private mutating func schema(
        at offset: Int, _ storedByteCount: Int, _ byteCount: Int
    ) -> Bytes? {
        let end = offset + storedByteCount
        guard end <= image.count, byteCount <= LogLimits.schemaByteCount else { return nil }
        mendDescriptor(offset..<end)
        return decompress(offset..<end, byteCount)
    }

    private static func schema(_ content: Bytes) -> LogSchema? {
        content.withUnsafeBytes { bytes in
            var cursor = ByteCursor(bytes)
            guard let header = try? ContainerHeader(from: &cursor) else { return nil }
            return try? LogSchema(json: header.schemaText)
        }
    }

    private mutating func mendFrontier(_ byteCount: Int) {
        let size = load(UInt64.self, at: 156)
        var nodes: [Digest] = []
        var place = 196
        while place + 32 <= byteCount - 4 {
            nodes.append(digest(at: place))
            place += 32
        }
        guard let frontier = MerkleFrontier(size: size, nodes: nodes) else { return }
        store(frontier.root, at: 164)
    }

    // MARK: Frames

    /// Mends the frame at `offset`; where the next one starts.
    private mutating func frame(at offset: Int) -> Int? {
        guard offset + 8 <= image.count else { return nil }
        switch load(UInt32.self, at: offset) {
        case 0x184D_2A51: return block(at: offset)
        case 0x184D_2A52: return attestation(at: offset)
        case 0x184D_2A53: return footer(at: offset)
        default: return nil
        }
    }

    private mutating func block(at offset: Int) -> Int? {
        let bodyOffset = offset + BlockHeader.frameByteCount
        guard bodyOffset <= image.count else { return nil }
        let rest = image.count - bodyOffset
        if parts.contains(.places) { mendPlaces(at: offset, rest: rest) }
        let stored = Int(load(UInt32.self, at: offset + 100))
        guard stored <= rest else { return nil }
        let body = bodyOffset..<(bodyOffset + stored)
        mendDescriptor(body)
        if !parts.isDisjoint(with: [.counts, .roots]) { mendCounts(at: offset, body) }
        if parts.contains(.checksums) {
            let checksum = image[body].withUnsafeBytes { StoredChecksum.of($0, salt: salt) }
            store(checksum, at: offset + 180)
        }
        mendChecksum(at: offset, BlockHeader.frameByteCount, salt: salt)
        return body.upperBound
    }

    private mutating func mendPlaces(at offset: Int, rest: Int) {
        store(UInt32(BlockHeader.frameByteCount - 8), at: offset + 4)
        store(UInt16(1), at: offset + 16)
        store(UInt16(BlockHeader.frameByteCount), at: offset + 18)
        store(UInt64(offset), at: offset + 60)
        if load(UInt32.self, at: offset + 100) > UInt32(rest) {
            store(UInt32(rest), at: offset + 100)
        }
        guard let state else { return }
        store(state.header.ledger, at: offset + 20)
        store(state.header.segment, at: offset + 36)
        store(state.block, at: offset + 52)
        store(state.position, at: offset + 68)
        self.state?.block += 1
    }

    /// Takes counts, times and roots from the records, if they can be read.
    private mutating func mendCounts(at offset: Int, _ body: Range<Int>) {
        guard var state = self.state else { return }
        let contentByteCount = Int(load(UInt32.self, at: offset + 104))
        guard contentByteCount <= LogLimits.blockByteCount,
            let content = decompress(body, contentByteCount),
            let found = Records(content, schema: state.schema)
        else { return }
        if parts.contains(.counts) {
            store(UInt32(found.eventCount), at: offset + 76)
            store(UInt32(found.leaves.count), at: offset + 80)
            store(found.firstReceivedAt, at: offset + 84)
            store(found.lastReceivedAt, at: offset + 92)
        }
        state.position &+= Position(load(UInt32.self, at: offset + 76))
        if parts.contains(.roots) {
            store(state.frontier.root, at: offset + 116)
            for leaf in found.leaves { state.frontier.append(leaf) }
            store(state.frontier.size, at: offset + 108)
            store(state.frontier.root, at: offset + 148)
        }
        state.lastReceivedAt = found.lastReceivedAt
        self.state = state
    }

    private mutating func attestation(at offset: Int) -> Int? {
        let byteCount = Attestation.frameByteCount
        guard offset + byteCount <= image.count else { return nil }
        if parts.contains(.places), let state {
            store(UInt32(byteCount - 8), at: offset + 4)
            store(state.header.ledger, at: offset + 20)
            store(state.header.segment, at: offset + 36)
            store(UInt64(offset), at: offset + 44)
        }
        if parts.contains(.counts), let state { store(state.position, at: offset + 52) }
        if parts.contains(.roots), let state {
            store(state.frontier.size, at: offset + 60)
            store(state.frontier.root, at: offset + 68)
        }
        mendChecksum(at: offset, byteCount, salt: salt)
        return offset + byteCount
    }

    private mutating func footer(at offset: Int) -> Int? {
        if parts.contains(.places) { store(UInt32(image.count - offset - 8), at: offset + 4) }
        guard let byteCount = frameByteCount(at: offset), byteCount >= 144 else { return nil }
        if parts.contains(.places), let state {
            store(state.header.ledger, at: offset + 20)
            store(state.header.segment, at: offset + 36)
            store(UInt64(offset), at: offset + 44)
            store(state.header.basePosition, at: offset + 52)
            store(UInt64(offset), at: offset + byteCount - 12)
        }
        if parts.contains(.counts), let state { store(state.position, at: offset + 60) }
        if parts.contains(.roots), let state {
            store(state.frontier.size, at: offset + 92)
            store(state.frontier.root, at: offset + 100)
        }
        mendChecksum(at: offset, byteCount, salt: salt)
        return offset + byteCount
    }

    // MARK: Bytes

    /// The length of the frame at `offset` as it says itself, if the image has so many bytes.
    private func frameByteCount(at offset: Int) -> Int? {
        guard offset + 8 <= image.count else { return nil }
        let byteCount = Int(load(UInt32.self, at: offset + 4)) + 8
        return byteCount >= 20 && offset + byteCount <= image.count ? byteCount : nil
    }

    private mutating func mendChecksum(at offset: Int, _ byteCount: Int, salt: [UInt8]) {
        guard parts.contains(.checksums) else { return }
        let end = offset + byteCount - 4
        let checksum = image[(offset + 8)..<end].withUnsafeBytes {
            StoredChecksum.of($0, salt: salt)
        }
        store(checksum, at: end)
    }

    private mutating func mendDescriptor(_ frame: Range<Int>) {
        guard parts.contains(.descriptors), frame.count >= 7 else { return }
        let flags = image[frame.lowerBound + 4]
        let end = frame.lowerBound + 6 + (flags & 0x08 != 0 ? 8 : 0) + (flags & 1 != 0 ? 4 : 0)
        guard end < frame.upperBound else { return }
        image[end] = XXH32.checkByte(of: image[(frame.lowerBound + 4)..<end])
    }

    private func decompress(_ range: Range<Int>, _ byteCount: Int) -> Bytes? {
        var decompressor = LZ4Decompressor()
        return image[range].withUnsafeBytes { stored in
            try? decompressor.decompress(stored, contentByteCount: byteCount)
        }
    }

    private func load<T: FixedWidthInteger>(_ type: T.Type, at place: Int) -> T {
        image.withUnsafeBytes {
            T(littleEndian: $0.loadUnaligned(fromByteOffset: place, as: T.self))
        }
    }

    private func digest(at place: Int) -> Digest {
        image[place..<(place + Digest.byteCount)].withUnsafeBytes { Digest($0) }
    }

    private mutating func store<T: FixedWidthInteger>(_ value: T, at place: Int) {
        image.withUnsafeMutableBytes {
            $0.storeBytes(of: value.littleEndian, toByteOffset: place, as: T.self)
        }
    }

    private mutating func store(_ digest: Digest, at place: Int) {
        image.replaceSubrange(place..<(place + Digest.byteCount), with: digest.bytes)
    }

    private mutating func store(_ ledger: LedgerID, at place: Int) {
        store(ledger.high.bigEndian, at: place)
        store(ledger.low.bigEndian, at: place + 8)
    }
}

/// What the records of a block's content add up to.
private struct Records {
    var eventCount = 0
    var leaves: [Digest] = []
    var firstReceivedAt: Microseconds = 0
    var lastReceivedAt: Microseconds = 0

    /// Nil if the content cannot be read as records of `schema`.
    init?(_ content: Bytes, schema: LogSchema) {
        do {
            try content.withUnsafeBytes { bytes in
                var cursor = ByteCursor(bytes)
                let count = try cursor.readLong()
                _ = try cursor.readLong()
                guard count > 0, count <= Int64(bytes.count) else { throw FrameFault.badContent }
                for _ in 0..<count {
                    var reader = try BatchReader(at: cursor, schema: schema)
                    let record = try reader.finish()
                    leaves.append(MerkleFrontier.leaf(of: record))
                    eventCount += reader.rowCount
                    if leaves.count == 1 { firstReceivedAt = reader.facts.receivedAt }
                    lastReceivedAt = reader.facts.receivedAt
                    cursor = reader.cursor
                }
            }
        } catch {
            return nil
        }
    }
}

/// The hash of LZ4's frame descriptors, for inputs of less than 16 bytes.
///
/// Source: the xxHash specification, XXH32, seed 0.
enum XXH32 {
    private static let primes: [UInt32] = [
        0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1,
    ]

    /// The byte that ends a descriptor: bits 8 to 15 of the hash.
    static func checkByte(of bytes: ArraySlice<UInt8>) -> UInt8 {
        precondition(bytes.count < 16, "a descriptor is short")
        var hash = primes[4] &+ UInt32(bytes.count)
        var rest = bytes
        while rest.count >= 4 {
            var lane: UInt32 = 0
            for byte in rest.prefix(4).reversed() { lane = lane << 8 | UInt32(byte) }
            hash = rotated(hash &+ lane &* primes[2], by: 17) &* primes[3]
            rest = rest.dropFirst(4)
        }
        for byte in rest {
            hash = rotated(hash &+ UInt32(byte) &* primes[4], by: 11) &* primes[0]
        }
        hash = (hash ^ hash >> 15) &* primes[1]
        hash = (hash ^ hash >> 13) &* primes[2]
        hash ^= hash >> 16
        return UInt8(truncatingIfNeeded: hash >> 8)
    }

    private static func rotated(_ value: UInt32, by count: UInt32) -> UInt32 {
        value << count | value >> (32 - count)
    }
}
