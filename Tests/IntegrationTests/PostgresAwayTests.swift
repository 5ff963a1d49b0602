import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Postgres away") struct PostgresAway {
        @Test("The server starts and appends without Postgres, and catches up when it comes")
        func comesLater() async throws {
            let postgres = try PostgresCluster()
            try await withDaybook(postgres: postgres.url) { daybook in
                for batch in 0..<20 { try await append(batch, daybook) }
                #expect(try await daybook.client.get("/health/ready").status == 200)
                let answer = try await daybook.client.get("/v1/status")
                let status = try JSONDecoder().decode(LedgerStatus.self, from: answer.body)
                #expect(status.projections["jobs"]?.lag == status.durable_position)

                try postgres.start()
                try await daybook.waitUntilProjected("jobs")
                try expectRows(of: 20, daybook)
            }
        }

        @Test("Fault 29: Postgres killed again and again in mid-stream: every row is there once")
        func killedInMidStream() async throws {
            let postgres = try PostgresCluster()
            try postgres.start()
            try await withDaybook(postgres: postgres.url) { daybook in
                for round in 0..<4 {
                    for batch in 0..<10 { try await append(round * 10 + batch, daybook) }
                    try postgres.kill()
                    for batch in 0..<5 { try await append(1_000 + round * 5 + batch, daybook) }
                    try postgres.start()
                }
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.sql("SELECT count(*) FROM jobs") == "\(60 * 100)\n")
                let batches = try daybook.sql(
                    "SELECT count(*), sum(accepted) FROM daybook.batches WHERE table_name = 'jobs'")
                #expect(batches == "60,6000\n")
            }
        }

        private func append(_ batch: Int, _ daybook: DaybookServer) async throws {
            let rows = (0..<100).map { #"{"id":\#(batch * 100 + $0),"job":"Job \#($0)"}"# }
            let answer = try await daybook.client.append(
                "[" + rows.joined(separator: ",") + "]", to: "jobs")
            #expect(answer.status == 200)
        }

        private func expectRows(of batchCount: Int, _ daybook: DaybookServer) throws {
            let found = try daybook.sql(
                "SELECT count(*), min(id), max(id), sum(id) FROM jobs WHERE job LIKE 'Job %'")
            let count = batchCount * 100
            #expect(found == "\(count),0,\(count - 1),\(count * (count - 1) / 2)\n")
        }
    }
}
