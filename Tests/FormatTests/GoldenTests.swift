import Avro
import DaybookLog
import DaybookSegments
import Foundation
import TestSupport
import Testing

/// The committed ledger of `eventlog/golden`, and one that today's writer makes.
///
/// The golden files are made once. To make them anew, after the format has a new version:
///
///     rm eventlog/golden/* && DAYBOOK_GOLDEN=1 swift test --filter GoldenTests
@Suite("Golden segments") struct GoldenTests {
    enum Ledger: String, CaseIterable, CustomTestStringConvertible {
        case committed = "the committed ledger"
        case written = "a ledger written today"
        var testDescription: String { rawValue }
    }

    /// A copy of the ledger's files, since opening a log may write to it.
    private func copy(_ ledger: Ledger) throws -> (folder: TemporaryFolder, expected: JSONValue) {
        let folder = try TemporaryFolder()
        let golden = "\(packageRoot)/eventlog/golden"
        switch ledger {
        case .written: try GoldenLedger.write(to: folder.path)
        case .committed:
            if ProcessInfo.processInfo.environment["DAYBOOK_GOLDEN"] != nil,
                !FileManager.default.fileExists(atPath: "\(golden)/expected.json")
            {
                try GoldenLedger.write(to: golden)
            }
            for name in try FileManager.default.contentsOfDirectory(atPath: golden) {
                try FileManager.default.copyItem(
                    atPath: "\(golden)/\(name)", toPath: folder.path(name))
            }
        }
        let text = try Data(contentsOf: URL(fileURLWithPath: folder.path("expected.json")))
        return (folder, try JSONDecoder().decode(JSONValue.self, from: text))
    }

    @Test("Today's code reads every value, the positions and the root", arguments: Ledger.allCases)
    func today(_ ledger: Ledger) throws {
        let (folder, expected) = try copy(ledger)
        let schema = try LogSchema(recordSchemas: [GoldenLedger.jobs])
        let log = try SegmentLog(
            disk: SystemDisk(folder: folder.path),
            options: SegmentLogOptions(schema: schema, clock: { GoldenLedger.epoch }))
        #expect(log.recovery.cut == nil && log.recovery.damage.isEmpty)
        #expect(expected["ledger"] == .string(log.ledger.description))
        #expect(expected["position"] == .integer(log.durable.position))
        #expect(expected["root"] == .string(log.durable.root.description))
        var found: [JSONValue] = []
        var position: Position = 0
        while position < log.durable.position {
            for block in try log.blocks(from: position, byteLimit: 1) {
                found += try BatchJSON.values(of: block)
                position = block.endPosition
            }
        }
        #expect(expected["batches"] == .array(found))
        #expect(log.size.segments == 2)
        try log.close()
    }

    @Test("The Python reader, written from FORMAT.md, reads the same", arguments: Ledger.allCases)
    func python(_ ledger: Ledger) throws {
        let (folder, expected) = try copy(ledger)
        let rows = try PythonReader.run(folder.path, ["--rows"])
        #expect(rows.status == 0, "\(rows.errorText)")
        #expect(expected["batches"] == .array(try JSONValue.lines(rows.output)))
        let result = try PythonReader.run(folder.path)
        let summary = try JSONDecoder().decode(JSONValue.self, from: result.output)
        for name in ["ledger", "position", "root"] { #expect(summary[name] == expected[name]) }
        #expect(summary["problems"] == .array([]) && summary["notes"] == .array([]))
        guard case .array(let segments)? = summary["segments"] else {
            Issue.record("no segments in the summary")
            return
        }
        #expect(segments.map { $0["sealed"] } == [.boolean(true), .boolean(false)])
        #expect(segments.map { $0["blocks"] } == [.integer(4), .integer(2)])
    }

    @Test("lz4 tests each segment, and avrocat lists each batch", arguments: Ledger.allCases)
    func stockTools(_ ledger: Ledger) throws {
        let (folder, expected) = try copy(ledger)
        guard case .array(let batches)? = expected["batches"] else {
            Issue.record("no batches are expected")
            return
        }
        var found: [JSONValue] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        where name.hasSuffix(".lz4") {
            #expect(try runTool("lz4", ["-t", folder.path(name)]).status == 0)
            let container = try runTool("lz4", ["-dc", folder.path(name)])
            #expect(container.status == 0)
            let path = folder.path("batches.avro")
            try container.output.write(to: URL(fileURLWithPath: path))
            let listed = try runTool("avrocat", [path])
            #expect(listed.status == 0, "\(listed.errorText)")
            found += try JSONValue.lines(listed.output)
        }
        // avrocat writes Avro's JSON encoding; these fields are in no union.
        let plain = ["position", "received_at", "clock", "id", "source", "table", "format"]
        #expect(found.count == batches.count)
        for (one, other) in zip(found, batches) {
            for name in plain { #expect(one[name] == other[name]) }
            guard case .array(let rows)? = one["rows"], case .array(let expected)? = other["rows"]
            else { continue }
            #expect(rows.count == expected.count)
        }
    }
}

/// `eventlog/read.py`, in the Python of the tests.
enum PythonReader {
    static func run(_ folder: String, _ options: [String] = []) throws -> ToolResult {
        try runTool(pythonPath, ["\(packageRoot)/eventlog/read.py", folder] + options)
    }
}
