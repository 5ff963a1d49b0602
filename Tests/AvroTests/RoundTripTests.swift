import Avro
import Foundation
import TestSupport
import Testing

@Suite("Random schemas and values")
struct RoundTripTests {
    private static let seed = SeededGenerator().seed

    @Test("A value comes back from its bytes, and a skipper stops where it ends")
    func roundTrip() throws {
        for round in 0..<400 {
            let seed = Self.seed &+ UInt64(round)
            var source = RandomSchema(SeededGenerator(seed: seed))
            let schema = source.schema(depth: 5)
            let definitions = schema.definitions
            let decoder = ResolvingDecoder(schema)
            let encoder = AvroEncoder(schema)
            let skipper = AvroSkipper(schema)
            for _ in 0..<5 {
                let value = source.value(of: schema, definitions)
                var sink = ByteSink()
                try encoder.encode(value, into: &sink)
                let end = sink.count
                sink.append(raw: [0xAA, 0xBB])
                var cursor = ByteCursor(sink.unsafeBytes)
                #expect(try decoder.decode(&cursor) == value, "seed \(seed)")
                #expect(cursor.remaining == 2, "seed \(seed)")
                var skipped = ByteCursor(sink.unsafeBytes)
                try skipper.skip(&skipped)
                #expect(skipped.remaining == 2, "seed \(seed)")
                sink.truncate(to: end)
                try Self.checkTruncation(sink.unsafeBytes, decoder, skipper, seed)
            }
        }
    }

    /// No value is the front of another, so every cut is an error.
    private static func checkTruncation(
        _ bytes: UnsafeRawBufferPointer, _ decoder: ResolvingDecoder, _ skipper: AvroSkipper,
        _ seed: UInt64
    ) throws {
        for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 50)) {
            let cut = UnsafeRawBufferPointer(rebasing: bytes[..<count])
            #expect(throws: AvroDecodingError.truncated, "seed \(seed)") {
                var cursor = ByteCursor(cut)
                _ = try decoder.decode(&cursor)
            }
            #expect(throws: AvroDecodingError.truncated, "seed \(seed)") {
                var cursor = ByteCursor(cut)
                try skipper.skip(&cursor)
            }
        }
    }

    @Test("Container files of random schemas are to fastavro what they are to us")
    func againstFastavro() throws {
        let folder = try TemporaryFolder()
        var paths: [String] = []
        var shown: [[String]] = []
        for round in 0..<60 {
            var source = RandomSchema(SeededGenerator(seed: Self.seed &+ UInt64(round)))
            let schema = source.schema(depth: 4)
            let definitions = schema.definitions
            let values = (0..<10).map { _ in source.value(of: schema, definitions) }
            let codec: ContainerCodec = round % 2 == 0 ? .null : .deflate
            let file = try File.write(values, schema, codec: codec, blockByteCount: 64)
            paths.append(try File.save(file, as: "\(round).avro", in: folder))
            let rendering = Rendering(definitions: definitions)
            shown.append(try values.map { try rendering.show($0, schema) })
        }
        let theirs = try Oracle.python(["dump", "fastavro"] + paths, as: [[String]].self)
        #expect(theirs.count == shown.count)
        for (round, (theirs, ours)) in zip(theirs, shown).enumerated() {
            #expect(theirs == ours, "seed \(Self.seed &+ UInt64(round))")
        }
    }

    @Test("Bytes with flipped bits are read as something or refused, and never crash")
    func flips() throws {
        var random = SeededGenerator(seed: Self.seed)
        let schema = try Oracle.everything()
        let definitions = schema.definitions
        let decoder = ResolvingDecoder(schema)
        let skipper = AvroSkipper(schema)
        var source = RandomSchema(random)
        var refused = 0
        for _ in 0..<60 {
            let bytes = try AvroEncoder(schema).encode(source.value(of: schema, definitions))
            for _ in 0..<50 {
                var damaged = bytes.array(in: 0..<bytes.count)
                let bit = Int.random(in: 0..<damaged.count * 8, using: &random)
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                let copy = Bytes(damaged)
                do throws(AvroDecodingError) { _ = try decoder.decode(copy) } catch { refused += 1 }
                // A skipper looks at less, so it may pass what a decoder refuses.
                copy.withUnsafeBytes { raw in
                    var cursor = ByteCursor(raw)
                    _ = try? skipper.skip(&cursor)
                }
            }
        }
        #expect(refused > 100, "seed \(Self.seed)")
    }
}
