import Avro
import DaybookLog
import DaybookSegments
import Foundation
import TestSupport
import Testing

@Suite("A log without its beginning") struct BeheadedTests {
    /// The second golden segment, made to say that it is the first, with every checksum made again.
    private static func beheaded() throws -> (name: String, bytes: [UInt8]) {
        let folder = "\(packageRoot)/eventlog/golden"
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasSuffix(".avro.lz4") }.max())
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
        var sink = ByteSink(capacity: bytes.count)
        try bytes.withUnsafeBytes { bytes in
            var (header, place) = try SegmentHeader.read(bytes)
            try #require(header.segment == 1 && header.frontier.size > 0)
            header.segment = 0
            header.append(to: &sink)
            func copy(_ count: Int) {
                sink.append(raw: UnsafeRawBufferPointer(rebasing: bytes[place..<(place + count)]))
                place += count
            }
            copy(Int(header.schemaStoredByteCount))
            while place < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[place...])
                guard var block = try? BlockHeader(reading: rest, salt: header.salt) else {
                    break
                }
                block.segment = 0
                block.append(to: &sink, salt: header.salt)
                place += BlockHeader.frameByteCount
                copy(Int(block.storedByteCount))
            }
        }
        return (name, Array(sink.unsafeBytes))
    }

    @Test("A segment that says it is the first, and that others were before it, is no sound log")
    func beheaded() throws {
        let folder = try TemporaryFolder()
        let (name, bytes) = try Self.beheaded()
        try folder.write("", to: "log/\(name)")
        try Data(bytes).write(to: URL(fileURLWithPath: folder.path("log/\(name)")))
        let found = try LogVerifier.run(folder: folder.path)
        #expect(found.blockCount > 0 && !found.isSound)
        #expect(found.problems.contains { $0.what.contains("does not begin") })
        // Its tree is the true one, so an anchor holds; but it reaches nothing of what is missing.
        let head = try #require(found.head)
        let anchored = try LogVerifier.run(folder: folder.path, anchors: [head])
        #expect(anchored.anchors[0].outcome == .holds && !anchored.isSound)
    }
}
