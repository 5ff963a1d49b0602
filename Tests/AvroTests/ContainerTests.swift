import Avro
import Foundation
import TestSupport
import Testing

@Suite("Container files and other libraries")
struct ContainerTests {
    @Test(
        "Files of other libraries are read with equal values, and written back for them to read",
        arguments: ["fastavro", "avro"], ["null", "deflate", "zstandard"])
    func filesOfOthers(library: String, codec: String) throws {
        let folder = try TemporaryFolder()
        let theirs = folder.path("theirs.avro")
        try Oracle.python(["make", library, codec, theirs])
        let bytes = try Data(contentsOf: URL(fileURLWithPath: theirs))
        let (header, values) = try File.read([UInt8](bytes))
        #expect(header.codec.rawValue == codec)
        #expect(header.schema == (try Oracle.everything()))
        #expect(values.count == 9)

        let ours = try File.save(
            File.write(values, header.schema, codec: header.codec), as: "ours.avro", in: folder)
        for reader in ["fastavro", "avro"] {
            let rendering = Rendering(
                definitions: header.schema.definitions, hasLocalTimestamps: reader == "fastavro")
            let shown = try values.map { try rendering.show($0, header.schema) }
            let dumps = try Oracle.python(["dump", reader, theirs, ours], as: [[String]].self)
            #expect(dumps == [shown, shown], "read by \(reader)")
        }
    }

    /// A record of every type that avrocat's JSON can show.
    static let plain = #"""
        {"type":"record","name":"Plain","fields":[
          {"name":"nothing","type":"null"},{"name":"flag","type":"boolean"},
          {"name":"small","type":"int"},{"name":"large","type":"long"},
          {"name":"single","type":"float"},{"name":"precise","type":"double"},
          {"name":"raw","type":"bytes"},{"name":"text","type":"string"},
          {"name":"colour","type":{"type":"enum","name":"Colour","symbols":["RED","GREEN"]}},
          {"name":"hash","type":{"type":"fixed","name":"Hash","size":2}},
          {"name":"list","type":{"type":"array","items":{"type":"array","items":"long"}}},
          {"name":"table","type":{"type":"map","values":"Colour"}},
          {"name":"choice","type":["null","string",{"type":"array","items":["int","null"]}]},
          {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
          {"name":"next","type":["null","Plain"]}]}
        """#

    static func plainValue(_ next: AvroValue) -> AvroValue {
        .record([
            .null, .boolean(true), .int(-7), .long(1 << 60), .float(0.5), .double(-2.25),
            .bytes([0x41, 0xE9]), .string("na\u{EF}ve"), .enumeration("GREEN"),
            .fixed([0x42, 0x43]), .array([.array([.long(1), .long(-2)]), .array([])]),
            .map([.init("k", .enumeration("RED"))]),
            .union(2, .array([.union(0, .int(3)), .union(1, .null)])), .long(1_636_253_322_000_000),
            next,
        ])
    }

    @Test("avrocat reads what we write", arguments: [ContainerCodec.null, .deflate])
    func avrocat(codec: ContainerCodec) throws {
        let schema = try AvroSchema(json: Self.plain)
        let value = Self.plainValue(.union(1, Self.plainValue(.union(0, .null))))
        func line(_ next: String) -> String {
            #"{"nothing": null, "flag": true, "small": -7, "large": 1152921504606846976, "#
                + #""single": 0.5, "precise": -2.25, "raw": "A\u00E9", "text": "na\u00EFve", "#
                + #""colour": "GREEN", "hash": "BC", "list": [[1, -2], []], "#
                + #""table": {"k": "RED"}, "choice": {"array": [{"int": 3}, null]}, "#
                + #""at": 1636253322000000, "next": \#(next)}"#
        }
        let expected = line(#"{"Plain": \#(line("null"))}"#)
        let folder = try TemporaryFolder()
        let values = Array(repeating: value, count: 50)
        let file = try File.save(
            File.write(values, schema, codec: codec), as: "ours.avro", in: folder)
        let output = try Oracle.run("avrocat", [file])
        let lines = String(decoding: output, as: UTF8.self).split(separator: "\n")
        #expect(lines == Array(repeating: expected[...], count: 50))
    }

    @Test("A header reads back as it was written, with the schema's very text")
    func header() throws {
        let schema = try AvroSchema(json: Self.plain)
        let header = ContainerHeader(
            schema: schema, codec: .deflate, metadata: ["a": [1], "daybook.x": [0xFF, 0]],
            syncMarker: SyncMarker(Array(1...16)))
        var sink = ByteSink()
        header.encode(into: &sink)
        sink.append(byte: 0x55)
        var cursor = ByteCursor(sink.unsafeBytes)
        #expect(try ContainerHeader(from: &cursor) == header)
        #expect(cursor.remaining == 1)
        #expect(header.schemaText == schema.json)
        #expect(header.syncMarker.bytes == Array(1...16))
    }

    @Test("Blocks hold about as many bytes as asked, and encoded values pass through untouched")
    func blocks() throws {
        let schema = AvroSchema.bytes()
        let file = try File.write(
            Array(repeating: .bytes(Array(repeating: 7, count: 99)), count: 100), schema,
            blockByteCount: 1000)
        var reader = try ContainerReader(Bytes(file))
        var counts: [Int] = []
        var end: Int?
        while let block = try reader.nextBlock() {
            counts.append(block.count)
            #expect(end == nil || block.offset == end)
            // Two varints of one and two bytes stand before the values, sixteen bytes behind.
            end = block.offset + 3 + block.bytes.count + SyncMarker.byteCount
        }
        #expect(counts == Array(repeating: 10, count: 10))
        #expect(end == file.count)
    }

    @Test("A file without values is a header, and has no block")
    func empty() throws {
        let file = try File.write([], .long())
        #expect(try File.read(file).values == [])
    }

    @Test("Input that comes byte by byte reads the same")
    func dribble() throws {
        let schema = try AvroSchema(json: Self.plain)
        let values = Array(repeating: Self.plainValue(.union(0, .null)), count: 40)
        let file = try File.write(values, schema, codec: .deflate, blockByteCount: 300)
        var offset = 0
        var reader = try ContainerReader { room in
            guard offset < file.count else { return 0 }
            room[0] = file[offset]
            offset += 1
            return 1
        }
        let decoder = ResolvingDecoder(schema)
        var read: [AvroValue] = []
        while let block = try reader.nextBlock() { read += try block.decode(with: decoder) }
        #expect(read == values)
    }

    @Test("An error of the output comes through, and of the encoding leaves the block as it was")
    func failures() throws {
        struct Full: Error, Equatable {}
        let header = ContainerHeader(schema: .long(), syncMarker: .random())
        #expect(throws: Full.self) {
            _ = try ContainerWriter(header: header) { _ throws(Full) in throw Full() }
        }
        var file: [UInt8] = []
        try withUnsafeMutablePointer(to: &file) { file in
            var writer = ContainerWriter(header: header) { file.pointee.append(contentsOf: $0) }
            try writer.append(.long(1))
            var caught: AvroEncodingError?
            do { try writer.append(.string("x")) } catch { caught = error as? AvroEncodingError }
            #expect(caught == .mismatch(path: "", expected: "long"))
            writer.append { sink in sink.append(long: 2) }
            writer.finish()
        }
        #expect(try File.read(file).values == [.long(1), .long(2)])
    }
}
