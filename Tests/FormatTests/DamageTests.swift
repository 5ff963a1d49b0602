import DaybookLog
import DaybookSegments
import Foundation
import TestSupport
import Testing

/// Where the two headers of a segment stand.
private struct SegmentHeaders {
    let schema: Range<Int>

    init(_ segment: Data) throws {
        let (header, count) = try segment.withUnsafeBytes { try SegmentHeader.read($0) }
        schema = count..<(count + Int(header.schemaStoredByteCount))
    }
}

/// The Python reader and the engine on the same damage: they must agree, and never crash.
@Suite("Damaged segments") struct DamageTests {
    private func golden() throws -> (folder: TemporaryFolder, segments: [String]) {
        let folder = try TemporaryFolder()
        try GoldenLedger.write(to: folder.path)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (folder, names.filter { $0.hasSuffix(".lz4") }.sorted())
    }

    private func open(_ folder: TemporaryFolder) throws -> SegmentLog {
        try SegmentLog(
            disk: SystemDisk(folder: folder.path),
            options: SegmentLogOptions(
                schema: LogSchema(recordSchemas: []), clock: { GoldenLedger.epoch }))
    }

    private func change(_ path: String, _ body: (inout Data) -> Void) throws {
        let file = URL(fileURLWithPath: path)
        var bytes = try Data(contentsOf: file)
        body(&bytes)
        try bytes.write(to: file)
    }

    private func problems(_ folder: TemporaryFolder) throws -> (status: Int32, count: Int) {
        let result = try PythonReader.run(folder.path)
        #expect(!result.errorText.contains("Traceback"), "\(result.errorText)")
        let summary = try JSONDecoder().decode(JSONValue.self, from: result.output)
        guard case .array(let problems)? = summary["problems"] else { return (result.status, -1) }
        return (result.status, problems.count)
    }

    @Test("A flipped bit anywhere in a sealed segment is found, or is in the footer alone")
    func sealed() throws {
        var generator = SeededGenerator()
        let (folder, segments) = try golden()
        let path = folder.path(segments[0])
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        let trailer = whole.suffix(12).prefix(8)
        let footer = trailer.reversed().reduce(0) { $0 << 8 | Int($1) }
        // The schema's LZ4 frame has no checksum of ours, and LZ4 has bits without a meaning.
        let headers = try SegmentHeaders(whole)
        let places =
            Array(0..<headers.schema.lowerBound)
            + Array(headers.schema.upperBound..<whole.count)
        for _ in 0..<12 {
            let place = try #require(places.randomElement(using: &generator))
            let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
            try change(path) { $0[place] ^= bit }
            let found = try problems(folder)
            let isFooter = place >= footer
            #expect(
                found.status == (isFooter ? 0 : 3) && (found.count > 0) != isFooter,
                "byte \(place) bit \(bit) seed \(generator.seed)")
            try whole.write(to: URL(fileURLWithPath: path))
        }
        #expect(try problems(folder).status == 0)
    }

    @Test("A missing, renamed, swapped or foreign segment is a problem")
    func order() throws {
        let (folder, segments) = try golden()
        let files = FileManager.default
        let first = folder.path(segments[0])
        let second = folder.path(segments[1])
        try files.moveItem(atPath: first, toPath: folder.path("kept"))
        #expect(try problems(folder).status == 3, "the first segment is missing")
        try files.copyItem(atPath: second, toPath: first)
        #expect(try problems(folder).status == 3, "the second stands under the first's name")
        try files.removeItem(atPath: first)
        try files.moveItem(atPath: folder.path("kept"), toPath: first)
        #expect(try problems(folder).status == 0)

        let (other, _) = try golden()
        try files.removeItem(atPath: second)
        #expect(try problems(folder).status == 3, "the head file knew the second segment")
        try files.copyItem(atPath: other.path(segments[1]), toPath: second)
        #expect(try problems(folder).status == 3, "the second is another ledger's")
    }

    @Test("Cut anywhere in its last block, a log is short of its head file; without one, torn")
    func tornTail() throws {
        let (folder, segments) = try golden()
        let path = folder.path(segments[1])
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        // Without the closing attestation, and three bytes of the block before it.
        try whole.dropLast(Attestation.frameByteCount + 3).write(to: URL(fileURLWithPath: path))
        #expect(try problems(folder).status == 3)
        #expect(throws: LogError.self) { try open(folder) }
        try FileManager.default.removeItem(atPath: folder.path("HEAD"))
        let found = try problems(folder)
        #expect(found.status == 0 && found.count == 0)
        let log = try open(folder)
        #expect(log.recovery.cut?.segment == segments[1] && log.durable.position == 11)
        try log.close()
        #expect(try problems(folder).status == 0, "what recovery leaves is valid")
    }

    @Test("A damaged block that an attestation vouches for is corruption even without a head file")
    func attested() throws {
        let (folder, segments) = try golden()
        try FileManager.default.removeItem(atPath: folder.path("HEAD"))
        try change(folder.path(segments[1])) { bytes in
            bytes[bytes.count - Attestation.frameByteCount - 20] ^= 4
        }
        #expect(try problems(folder).status == 3)
        #expect(throws: LogError.self) { try open(folder) }
    }
}
