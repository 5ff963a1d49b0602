import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import Foundation
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// What a projector makes of a log while nothing goes wrong.
@Suite struct ProjectorTests {
    @Test("Batches and rejections are in the audit as the log has them")
    func audit() async throws {
        let world = try await World()
        let hostile = Rejection(
            raw: Array(0...255), rawLength: 70_000,
            reasons: [
                .init(
                    code: "wrong_type", column: "a\"b\\", message: "tab\t nul\0 \u{7F} \u{1F98A}"),
                .init(code: "malformed_row", column: nil, message: ""),
            ])
        let plain = Rejection(raw: [], rawLength: nil, reasons: [])
        try world.append([
            ("jobs", [.job(1), .rejected(hostile), .job(2), .rejected(plain), .rejected(plain)])
        ]) {
            $0.source = "csv:jobs \0.csv"
            $0.idempotencyKey = "k'1"
            $0.format = "csv"
            $0.firstLine = 10
            $0.lineSkips = [LineSkip(row: 1, lines: 2), LineSkip(row: 4, lines: 5)]
            $0.receivedAt = 1_636_253_363_000_001
        }
        await world.projectAll()
        #expect(
            try world.psql("SET timezone = 'UTC'; SELECT * FROM daybook.batches")
                == [
                    "0", World.batchID(0), "2021-11-07 02:49:23.000001+00", "csv:jobs \u{FFFD}.csv",
                    "tester", "k'1", "jobs", "csv", "5", "2", "3", world.catalog.version, "10",
                ].joined(separator: "|"))
        let bytes = (0...255).map { String(format: "%02x", $0) }.joined()
        #expect(
            try world.psql(
                "SELECT position, line, encode(raw, 'hex'), raw_length, state, source"
                    + " FROM daybook.rejections ORDER BY 1") == """
                    1|13|\(bytes)|70000|open|csv:jobs \u{FFFD}.csv
                    3|15||0|open|csv:jobs \u{FFFD}.csv
                    4|21||0|open|csv:jobs \u{FFFD}.csv
                    """)
        #expect(
            try world.psql(
                "SELECT reasons->0->>'code', reasons->0->>'column', reasons->0->>'message' ="
                    + " U&'tab\\0009 nul\\FFFD \\007F \\+01F98A', reasons->1,"
                    + " jsonb_array_length(reasons) FROM daybook.rejections WHERE position = 1")
                == #"wrong_type|a"b\|t|{"code": "malformed_row", "message": ""}|2"#)
        #expect(
            try world.psql("SELECT reasons, batch_id FROM daybook.rejections WHERE position = 3")
                == "[]|\(World.batchID(0))")
    }

    @Test(
        "Rows from JSON and CSV are in Postgres, the ledger's own events in the audit only")
    func ledger() async throws {
        let world = try await World()
        let ledger = try Ledger.open(
            engine: world.log, catalog: world.catalog, stateFolder: world.folder.path("state"),
            options: LedgerOptions(
                wallClock: { 1_700_000_000_000_000 }, bootClock: { 1 }, onFatal: { _ in }))
        let projector = world.projector()
        projector.start()
        let table = try #require(world.catalog.table(named: "jobs"))
        let judge = Judge(
            table: table, constraints: world.catalog.constraints,
            fingerprintKey: ledger.fingerprintKey)
        let json = Bytes(
            Array(#"[{"id":1,"job":"Smith"},{"id":1,"job":"Twice"},{"job":3}]"#.utf8), padding: 64)
        let csv = Bytes(Array("2,\"Tin\nker\"\n\nx,y\n3,Tailor\n".utf8))
        let batches = [judge.judgeJSON(json), try judge.judgeCSV(csv, header: .absent)]
        for (batch, source) in zip(batches, ["http", "csv:jobs.csv"]) {
            _ = try await ledger.append(
                Submission(
                    batch: batch, source: source, principal: "tester", idempotencyKey: nil,
                    requestDigest: [], dictionary: world.catalog.version,
                    firstLine: source == "http" ? nil : 1))
        }
        ledger.close()
        #expect(
            await projector.waitUntilApplied(world.log.durable.position, timeoutSeconds: 30))
        await projector.stop()
        #expect(
            try world.psql("SELECT id, job, ledger_position FROM jobs ORDER BY id")
                == "1|Smith|2\n2|Tin\nker|5\n3|Tailor|7")
        #expect(
            try world.psql(
                "SELECT position, table_name, source, format, rows, accepted, rejected"
                    + " FROM daybook.batches ORDER BY 1") == """
                    0||system|control|1|1|0
                    1||system|control|1|1|0
                    2|jobs|http|json|3|1|2
                    5|jobs|csv:jobs.csv|csv|3|2|1
                    """)
        #expect(
            try world.psql(
                "SELECT position, line, convert_from(raw, 'UTF8'), reasons->0->>'code'"
                    + " FROM daybook.rejections ORDER BY 1") == """
                    3||{"id":1,"job":"Twice"}|duplicate_key
                    4||{"job":3}|missing_field
                    6|4|x,y|wrong_type
                    """)
    }

    @Test(
        "Batches of several tables, interleaved, land whole and in their own table",
        arguments: [1, 10, 50_000])
    func interleaved(rowLimit: Int) async throws {
        let world = try await World()
        for block in 0..<20 {
            let start = world.log.durable.position
            try world.append([
                (block % 3 == 0 ? "notes" : "jobs", block % 3 == 0 ? [.note(nil)] : [.job(start)]),
                ("notes", [.note("\(start + 1)"), .note("\(start + 2)")]),
                ("jobs", [.job(start + 3)]),
            ])
        }
        await world.projectAll(rowLimit: rowLimit)
        #expect(try world.psql("SELECT count(*), count(DISTINCT id) FROM jobs") == "33|33")
        #expect(try world.psql("SELECT * FROM jobs WHERE id <> ledger_position") == "")
        #expect(
            try world.psql("SELECT count(*), count(note), count(DISTINCT note) FROM notes")
                == "47|40|40")
        #expect(
            try world.psql("SELECT * FROM notes WHERE note::bigint <> ledger_position") == "")
    }

    @Test("A table that is added later is filled from the log's start, the others go on")
    func addedTable() async throws {
        let first = try await World([World.jobs])
        try first.appendJobs(10)
        await first.projectAll()
        let world = try first.adopting([World.jobs, World.notes])
        try world.append([("notes", [.note("a")])])
        let projector = await world.projectAll(rowLimit: 3)
        #expect(projector.statuses.allSatisfy { $0.position == 11 && $0.state == .running })
        #expect(try world.psql("SELECT note, ledger_position FROM notes") == "a|10")
        try world.expectExactlyOnce()
    }

    @Test("Rows that were written without a column have its default")
    func defaults() async throws {
        let first = try await World([World.jobs])
        try first.appendJobs(2)
        let world = try first.adopting([
            World.jobs + "\n  - {name: level, type: integer, default: 4}"
        ])
        try world.append([
            (
                "jobs",
                [
                    .accepted { sink in
                        sink.append(long: 2)
                        sink.append(string: "new")
                        sink.append(long: 5)
                    }
                ]
            )
        ])
        await world.projectAll()
        #expect(
            try world.psql("SELECT id, level FROM jobs ORDER BY id") == "0|4\n1|4\n2|5")
    }

    @Test("Waiting ends when the events are there, or when it cannot be")
    func waiting() async throws {
        let world = try await World()
        let projector = world.projector()
        #expect(projector.statuses.map(\.name) == ["audit", "jobs", "notes"])
        #expect(projector.statuses.allSatisfy { $0.position == 0 && $0.state == .running })
        #expect(projector.postgres == .starting)
        projector.start()
        #expect(await !projector.waitUntilApplied(1, timeoutSeconds: 0.05))
        try world.appendJobs(1)
        #expect(await projector.waitUntilApplied(1, by: ["jobs"], timeoutSeconds: 30))
        #expect(projector.postgres == .connected)
        await projector.stop()
        await projector.stop()
        try world.expectExactlyOnce()
    }
}
