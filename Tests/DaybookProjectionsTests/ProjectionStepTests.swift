import DaybookLog
import DaybookSegments
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// What a step refuses by ending the process: half a batch in a table would be found by nobody.
@Suite struct ProjectionStepTests {
    @Test(
        "A step that would begin or end inside a batch ends the process, and nothing is written",
        arguments: [
            ("jobs", 0, 13), ("jobs", 13, 30), (auditProjectionName, 13, 30), ("by_job", 13, 30),
        ])
    func cutBatch(name: String, from: Position, end: Position) async throws {
        let byJob = """
            aggregate: by_job
            from: jobs
            groupBy: {job: job}
            measures: {jobs: count}
            """
        let dictionary = [World.jobs, byJob]
        let world = try await World(dictionary)
        for _ in 0..<3 { try world.appendJobs(10) }
        await world.projectAll()
        _ = try world.psql("TRUNCATE jobs, by_job, daybook.batches")
        let (folder, conninfo) = (world.folder.path("data"), world.conninfo)
        let result = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) { [
            dictionary = dictionary as [String], folder = folder as String,
            conninfo = conninfo as String, name, from, end
        ] in
            let log = try LogReader.open(folder: folder)
            let step = ProjectionStep(
                try PostgresConnection(.init(conninfo: conninfo)), into: .init(schema: "public"),
                transcoders: TranscoderSet(catalog: try World.catalog(dictionary)),
                participants: [.init(name: name, from: from)], end: end)
            try step.apply(log.blocks(from: 0, byteLimit: 1 << 20)[...])
        }
        let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(words.contains("lie between two batches"), "\(words)")
        let count = try world.psql(
            "SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM by_job)"
                + " + (SELECT count(*) FROM daybook.batches)")
        #expect(count == "0")
    }
}
