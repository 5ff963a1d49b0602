import DaybookLog
import DaybookSegments
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// What a step refuses: half a batch in a table would be found by nobody.
@Suite struct ProjectionStepTests {
    @Test(
        "A step that would begin or end inside a batch is refused, and nothing is written",
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
        let step = ProjectionStep(
            try PostgresConnection(.init(conninfo: world.conninfo)), into: .init(schema: "public"),
            transcoders: TranscoderSet(catalog: world.catalog),
            participants: [.init(name: name, from: from)], end: end,
            retractions: .known(RetractedRows()))
        let blocks = try world.log.blocks(from: 0, byteLimit: 1 << 20)[...]
        let fault = #expect(throws: ProjectionFault.self) { try step.apply(blocks) }
        guard case .contradiction(let words) = fault else {
            Issue.record("\(String(describing: fault))")
            return
        }
        #expect(words.contains("between two batches"), "\(words)")
        let count = try world.psql(
            "SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM by_job)"
                + " + (SELECT count(*) FROM daybook.batches)")
        #expect(count == "0")
    }
}
