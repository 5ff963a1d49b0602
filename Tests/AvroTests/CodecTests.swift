import Avro
import Foundation
import TestSupport
import Testing

@Suite("Codecs of container files")
struct CodecTests {
    static let compressing = [ContainerCodec.deflate, .zstandard]

    /// A file of one block of `stored` bytes, which are said to be one value of bytes.
    private func file(_ codec: ContainerCodec, stored: [UInt8]) -> [UInt8] {
        let marker = SyncMarker(Array(1...16))
        var sink = ByteSink()
        ContainerHeader(schema: .bytes(), codec: codec, syncMarker: marker).encode(into: &sink)
        stored.withUnsafeBytes { marker.frame(count: 1, compressed: $0, into: &sink) }
        return Array(sink.unsafeBytes)
    }

    private func compressed(
        _ content: [UInt8], _ codec: ContainerCodec, level: Int? = nil
    ) -> [UInt8] {
        var compressor = BlockCompressor(codec: codec, level: level)
        var sink = ByteSink()
        content.withUnsafeBytes { compressor.compress($0, into: &sink) }
        return Array(sink.unsafeBytes)
    }

    /// The content of the only block, or the fault.
    private func content(
        _ codec: ContainerCodec, stored: [UInt8], limit: Int = 1 << 24
    ) -> Result<[UInt8], AvroContainerError> {
        do {
            var reader = try ContainerReader(
                Bytes(file(codec, stored: stored)),
                limits: ContainerLimits(contentByteCount: limit))
            let block = try #require(try reader.nextBlock())
            return .success(Array(block.bytes.unsafeBytes))
        } catch let error as AvroContainerError {
            return .failure(error)
        } catch {
            Issue.record(error)
            return .success([])
        }
    }

    private func noise(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in
            Bool.random(using: &random) ? 65 : UInt8.random(in: 0...255, using: &random)
        }
    }

    @Test("What was compressed comes back, at every level and size", arguments: compressing)
    func roundTrip(codec: ContainerCodec) {
        var random = SeededGenerator()
        for size in [0, 1, 5, 4095, 4096, 4097, 65_536, 300_000] {
            let bytes = noise(size, &random)
            for level in [nil, 1, 9] {
                let stored = compressed(bytes, codec, level: level)
                #expect(content(codec, stored: stored) == .success(bytes), "seed \(random.seed)")
            }
            // Far more than the first guess at the room.
            let zeros = Array(repeating: UInt8(0), count: size)
            #expect(content(codec, stored: compressed(zeros, codec)) == .success(zeros))
        }
    }

    @Test("Blocks compressed on another thread and framed by hand are the writer's own bytes")
    func framedByHand() async throws {
        var random = SeededGenerator()
        let values = (0..<50).map { _ in AvroValue.bytes(noise(40, &random)) }
        for codec in [ContainerCodec.null, .deflate, .zstandard] {
            let header = ContainerHeader(
                schema: .bytes(), codec: codec, syncMarker: SyncMarker(Array(1...16)))
            var written: [UInt8] = []
            try withUnsafeMutablePointer(to: &written) { written in
                var writer = ContainerWriter(header: header, blockByteCount: 1 << 20) {
                    written.pointee.append(contentsOf: $0)
                }
                for value in values { try writer.append(value) }
                writer.finish()
            }
            let byHand = try await Task.detached {
                var compressor = BlockCompressor(codec: codec)
                var content = ByteSink()
                let encoder = AvroEncoder(.bytes())
                for value in values { try encoder.encode(value, into: &content) }
                var stored = ByteSink()
                compressor.compress(content.unsafeBytes, into: &stored)
                var file = ByteSink()
                header.encode(into: &file)
                header.syncMarker.frame(
                    count: values.count, compressed: stored.unsafeBytes, into: &file)
                return Array(file.unsafeBytes)
            }.value
            #expect(byHand == written)
        }
    }

    @Test("Up to four bytes behind deflated data are passed over, as the official package writes")
    func trailingBytes() {
        let bytes = Array("some text, some text".utf8)
        let stored = compressed(bytes, .deflate)
        for count in 0...4 {
            let longer = stored + Array(repeating: UInt8(0xAA), count: count)
            #expect(content(.deflate, stored: longer) == .success(bytes))
        }
        let tooLong = stored + [1, 2, 3, 4, 5]
        #expect(content(.deflate, stored: tooLong) == .failure(.badCompression))
        #expect(
            content(.zstandard, stored: compressed(bytes, .zstandard) + [1])
                == .failure(.badCompression))
    }

    @Test("Zstandard frames without a stated size, and several of them, are read")
    func otherFrames() throws {
        let script = """
            import sys, zstandard
            data = sys.stdin.buffer.read()
            plain = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True)
            half = len(data) // 2
            out = {"open": lambda: plain.compress(data),
                   "two": lambda: plain.compress(data[:half]) + plain.compress(data[half:]),
                   "stated": lambda: zstandard.ZstdCompressor().compress(data)}[sys.argv[1]]()
            sys.stdout.buffer.write(out)
            """
        var random = SeededGenerator()
        let bytes = noise(300_000, &random) + Array(repeating: 0, count: 900_000)
        for kind in ["open", "two", "stated"] {
            let stored = [UInt8](
                try Oracle.run(pythonPath, ["-c", script, kind], input: Data(bytes)))
            #expect(content(.zstandard, stored: stored) == .success(bytes), "\(kind)")
            let limit = bytes.count
            #expect(content(.zstandard, stored: stored, limit: limit) == .success(bytes))
            #expect(
                content(.zstandard, stored: stored, limit: limit - 1)
                    == .failure(.contentTooLarge), "\(kind)")
            #expect(
                content(.zstandard, stored: stored, limit: 1000) == .failure(.contentTooLarge))
        }
    }

    @Test("A block that would decompress to more than the limit is refused", arguments: compressing)
    func bomb(codec: ContainerCodec) {
        let zeros = Array(repeating: UInt8(0), count: 32 << 20)
        let stored = compressed(zeros, codec)
        #expect(stored.count < 40_000)
        #expect(content(codec, stored: stored, limit: zeros.count) == .success(zeros))
        for limit in [zeros.count - 1, 1 << 20, 1] {
            #expect(
                content(codec, stored: stored, limit: limit) == .failure(.contentTooLarge))
        }
    }

    @Test("Compressed data cut or changed anywhere are an error or other bytes, never a crash")
    func damage() {
        var random = SeededGenerator()
        let bytes = noise(700, &random)
        for codec in Self.compressing {
            let stored = compressed(bytes, codec)
            for count in 0..<stored.count {
                #expect(
                    content(codec, stored: Array(stored[..<count])) == .failure(.badCompression),
                    "\(codec) cut to \(count), seed \(random.seed)")
            }
            for place in stored.indices {
                var changed = stored
                changed[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                if case .success(let other) = content(codec, stored: changed, limit: 1 << 20) {
                    #expect(other.count <= 1 << 20)
                }
            }
        }
    }
}

@Suite("Container files that come piece by piece")
struct ContainerDecoderTests {
    /// Header and blocks as a decoder finds them, when bytes come in pieces of random sizes.
    private func steps(
        _ file: [UInt8], pieceMax: Int, _ random: inout SeededGenerator
    ) throws -> [String] {
        var decoder = ContainerDecoder()
        var found: [String] = []
        var start = 0
        var end = 0
        var isLast = false
        while true {
            let step = try file[start..<end].withUnsafeBytes {
                try decoder.next($0, isLast: isLast)
            }
            switch step {
            case .header(let header, let byteCount):
                found.append("\(start) \(header.codec) \(header.schemaText)")
                start += byteCount
            case .block(let block, let byteCount):
                #expect(block.offset == start)
                found.append("\(start) \(block.count) \(Array(block.bytes.unsafeBytes))")
                start += byteCount
            case .wants(let count):
                #expect(!isLast && count > end - start)
                if end == file.count {
                    isLast = true
                } else {
                    end = min(file.count, end + Int.random(in: 1...pieceMax, using: &random))
                }
            case .end:
                #expect(isLast && start == file.count && decoder.offset == start)
                return found
            }
        }
    }

    @Test("The steps are the same, whatever the pieces")
    func pieces() throws {
        var random = SeededGenerator()
        for codec in [ContainerCodec.null, .deflate, .zstandard] {
            let values = (0..<200).map { AvroValue.string("value \($0)") }
            let file = try File.write(values, .string(), codec: codec, blockByteCount: 300)
            let whole = try steps(file, pieceMax: .max / 2, &random)
            #expect(whole.count > 5)
            for pieceMax in [1, 7, 100, 1000] {
                let found = try steps(file, pieceMax: pieceMax, &random)
                #expect(found == whole, "seed \(random.seed)")
            }
        }
    }

    @Test("An error leaves the place where the block begins that cannot be read")
    func place() throws {
        let values = (0..<20).map { AvroValue.string("value \($0)") }
        var file = try File.write(values, .string(), blockByteCount: 100)
        file[file.count - 1] ^= 1
        var offsets: [Int] = []
        var decoder = ContainerDecoder()
        #expect(throws: AvroContainerError.badSyncMarker) {
            var start = 0
            while true {
                switch try file[start...].withUnsafeBytes({ try decoder.next($0, isLast: true) }) {
                case .header(_, let byteCount): start += byteCount
                case .block(let block, let byteCount):
                    offsets.append(block.offset + byteCount)
                    start += byteCount
                case .wants, .end: return
                }
            }
        }
        #expect(decoder.offset == offsets.last)
    }
}
