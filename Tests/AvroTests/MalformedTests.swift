import Avro
import Testing

@Suite("Malformed bytes")
struct MalformedTests {
    private func decode(
        _ bytes: [UInt8], _ json: String, limits: AvroLimits = AvroLimits()
    ) throws -> AvroValue {
        try ResolvingDecoder(AvroSchema(json: json), limits: limits).decode(Bytes(bytes))
    }

    private func skip(
        _ bytes: [UInt8], _ json: String, limits: AvroLimits = AvroLimits()
    ) throws -> Int {
        let skipper = AvroSkipper(try AvroSchema(json: json), limits: limits)
        return try Bytes(bytes).withUnsafeBytes { raw in
            var cursor = ByteCursor(raw)
            try skipper.skip(&cursor)
            return cursor.remaining
        }
    }

    @Test(
        "What no writer writes is refused by the decoder and by the skipper",
        arguments: [
            ([2], "\"boolean\"", AvroDecodingError.badBoolean(2)),
            ([0x01], "\"bytes\"", .badLength(-1)),
            ([0x04, 0x41], "\"string\"", .truncated),
            (
                [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], "\"string\"",
                .truncated
            ),
            (Array(repeating: 0xFF, count: 11), "\"long\"", .varintTooLong),
            ([0x04], #"["null","int"]"#, .badIndex(2)),
            ([0x01], #"["null","int"]"#, .badIndex(-1)),
            ([0x02], #"{"type":"enum","name":"E","symbols":["A"]}"#, .badIndex(1)),
            ([0x01, 0x01], #"{"type":"array","items":"int"}"#, .badLength(-1)),
            ([0x01, 0x04, 0x02], #"{"type":"array","items":"int"}"#, .truncated),
            (
                [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00],
                #"{"type":"map","values":"int"}"#, .badLength(.min)
            ),
            (
                [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x02],
                #"{"type":"array","items":"int"}"#, .truncated
            ),
            ([], #"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#, .tooDeep),
        ] as [([UInt8], String, AvroDecodingError)])
    func refused(bytes: [UInt8], json: String, error: AvroDecodingError) throws {
        #expect(throws: error) { try decode(bytes, json) }
        #expect(throws: error) { try skip(bytes, json) }
    }

    @Test("The decoder also looks at what a skipper passes over")
    func decoderOnly() throws {
        #expect(throws: AvroDecodingError.notUTF8) { try decode([0x02, 0xFF], "\"string\"") }
        #expect(throws: AvroDecodingError.intOutOfRange(1 << 31)) {
            try decode([0x80, 0x80, 0x80, 0x80, 0x10], "\"int\"")
        }
        #expect(throws: AvroDecodingError.bytesLeft(1)) { try decode([0x02, 0x00], "\"int\"") }
        // A block that says it has three bytes, and has one item of one byte.
        #expect(throws: AvroDecodingError.badLength(3)) {
            try decode([0x01, 0x06, 0x02, 0x02, 0x02, 0x00], #"{"type":"array","items":"int"}"#)
        }
    }

    @Test("Blocks that tell their size are read, and skipped without a look inside")
    func sizedBlocks() throws {
        let bytes: [UInt8] = [0x03, 0x06, 0x02, 0x80, 0x01, 0x02, 0x08, 0x00]
        let json = #"{"type":"array","items":"int"}"#
        #expect(try decode(bytes, json) == .array([.int(1), .int(64), .int(4)]))
        #expect(try skip(bytes, json) == 0)
    }

    @Test("Items without bytes are counted against a limit, and skipped without a loop")
    func emptyItems() throws {
        let json = #"{"type":"array","items":{"type":"array","items":"null"}}"#
        let limits = AvroLimits(emptyItemCount: 10)
        // Two arrays of five nulls are ten; six and five are eleven.
        let ten: [UInt8] = [0x04, 0x0A, 0x00, 0x0A, 0x00, 0x00]
        let nulls = AvroValue.array(Array(repeating: .null, count: 5))
        #expect(try decode(ten, json, limits: limits) == .array([nulls, nulls]))
        #expect(throws: AvroDecodingError.tooManyEmptyItems) {
            try decode([0x04, 0x0C, 0x00, 0x0A, 0x00, 0x00], json, limits: limits)
        }
        let endless: [UInt8] =
            [0x02, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00, 0x00]
        #expect(throws: AvroDecodingError.tooManyEmptyItems) { try decode(endless, json) }
        #expect(try skip(endless, json) == 0)
    }

    @Test("Values nest as deep as the limit, and no deeper")
    func depth() throws {
        let json = #"{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}"#
        let limits = AvroLimits(depth: 100)
        let deepest = Array(repeating: UInt8(2), count: 49) + [0]
        _ = try decode(deepest, json, limits: limits)
        #expect(try skip(deepest, json, limits: limits) == 0)
        let deeper = Array(repeating: UInt8(2), count: 100_000) + [0]
        #expect(throws: AvroDecodingError.tooDeep) { try decode(deeper, json, limits: limits) }
        #expect(throws: AvroDecodingError.tooDeep) { try skip(deeper, json, limits: limits) }
    }

    @Test("A container file cut at any byte ends at a block or is an error")
    func cutFiles() throws {
        for codec in [ContainerCodec.null, .deflate, .zstandard] {
            let values = (0..<30).map { AvroValue.string("value \($0)") }
            let file = try File.write(values, .string(), codec: codec, blockByteCount: 60)
            var whole = 0
            for count in 0..<file.count {
                do {
                    let read = try File.read(Array(file[..<count])).values
                    #expect(values.starts(with: read))
                    whole += 1
                } catch let error as AvroContainerError {
                    #expect(error == .malformed(.truncated))
                }
            }
            // The bare header, and after each block but the last.
            #expect(whole == 5)
        }
    }

    private func withFile(
        codec: ContainerCodec = .null, limits: ContainerLimits = ContainerLimits(),
        _ change: (inout [UInt8]) -> Void
    ) throws -> AvroContainerError? {
        let header = ContainerHeader(
            schema: .string(), codec: codec, syncMarker: SyncMarker(Array(1...16)))
        var sink = ByteSink()
        header.encode(into: &sink)
        var file = Array(sink.unsafeBytes)
        change(&file)
        do {
            var reader = try ContainerReader(Bytes(file), limits: limits)
            while try reader.nextBlock() != nil {}
            return nil
        } catch let error as AvroContainerError {
            return error
        }
    }

    @Test("Damage in a container file is named")
    func damage() throws {
        let sync = Array(UInt8(1)...16)
        #expect(try withFile { file in file += [2, 2, 0] + sync } == nil)
        #expect(try withFile { file in file[0] = 0x4E } == .notAContainer)
        #expect(try withFile { file in file = [] } == .malformed(.truncated))
        #expect(try withFile { file in file += [2, 2, 0] + sync.reversed() } == .badSyncMarker)
        #expect(try withFile { file in file += [1, 2, 0] + sync } == .malformed(.badLength(-1)))
        #expect(try withFile { file in file += [2, 1, 0] + sync } == .malformed(.badLength(-1)))
        #expect(
            try withFile { file in file += [2, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F] + sync }
                == .blockTooLarge(byteCount: 0x7FFF_FFFF))
        for damaged: [UInt8] in [[2, 2, 0xFF], [2, 0], [2, 14, 3, 0, 1, 2, 3, 4, 5]] {
            #expect(
                try withFile(codec: .deflate) { file in file += damaged + sync }
                    == .badCompression)
        }
        #expect(
            try withFile(limits: ContainerLimits(headerByteCount: 40)) { _ in }
                == .headerTooLarge)
    }

    @Test("A codec that is unknown, and a header without or with a bad schema, are named")
    func badHeaders() throws {
        func header(_ entries: [(String, String)]) throws -> AvroContainerError? {
            try withFile { file in
                var sink = ByteSink()
                sink.append(raw: ContainerHeader.magic)
                sink.append(long: Int64(entries.count))
                for (name, value) in entries {
                    sink.append(string: name)
                    sink.append(string: value)
                }
                sink.append(long: 0)
                sink.append(raw: Array(1...16))
                file = Array(sink.unsafeBytes)
            }
        }
        #expect(try header([("avro.schema", "\"int\"")]) == nil)
        #expect(try header([("avro.codec", "null")]) == .missingSchema)
        #expect(
            try header([("avro.schema", "\"int\""), ("avro.codec", "bzip2")])
                == .unknownCodec("bzip2"))
        #expect(
            try header([("avro.schema", "\"in\"")])
                == .schema(.invalid(path: "/", .unknownType("in"))))
    }
}
