import Foundation
import TestSupport
import Testing

/// What the status says of one projection, its reason too.
private struct ReasonedStatus: Decodable {
    let durable_position: Int
    let state: String
    let projections: [String: Projection]

    struct Projection: Decodable {
        let position: Int
        let state: String
        let reason: String?
    }
}

extension DaybookServer {
    fileprivate func reasonedStatus() throws -> ReasonedStatus {
        try json(["status"], as: ReasonedStatus.self)
    }

    fileprivate func append(jobs ids: Range<Int>) async throws {
        let rows = ids.map { #"{"id":\#($0),"job":"Job \#($0)"}"# }.joined(separator: ",")
        let answer = try await client.append("[\(rows)]", to: "jobs")
        #expect(answer.status == 200, "\(answer.text)")
    }

    /// The jobs' ids, as psql has them.
    fileprivate func jobIDs() throws -> [Int] {
        try sql("SELECT id FROM jobs ORDER BY 1").split(separator: "\n").compactMap { Int($0) }
    }

    /// Moves the log and what is derived from it aside, or back into place.
    fileprivate func move(_ from: String, to target: String) throws {
        for name in ["log", "state"] {
            let (old, new) = ("\(from)/\(name)", "\(target)/\(name)")
            try? FileManager.default.removeItem(atPath: new)
            try FileManager.default.createDirectory(
                atPath: target, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: old, toPath: new)
        }
    }
}

extension Integration {
    @Suite("Postgres's faults") struct PostgresFaults {
        @Test("Fault 31: Postgres restored to an older copy of its disk is brought up to date")
        func olderCopy() async throws {
            let postgres = try PostgresCluster()
            try postgres.start()
            try await withDaybook(postgres: postgres.url) { daybook in
                try await daybook.append(jobs: 0..<100)
                try await daybook.waitUntilProjected("jobs")
                try postgres.stop()
                try postgres.copy()
                try postgres.start()
                try await daybook.append(jobs: 100..<200)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.jobIDs() == Array(0..<200))

                try postgres.kill()
                try postgres.restoreCopy()
                try postgres.start()
                try await daybook.append(jobs: 200..<210)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.jobIDs() == Array(0..<210))
                let verified = try daybook.run(["verify", "tables"])
                #expect(verified.status == 0, "\(verified.text)\(verified.errorText)")
            }
        }

        @Test("Fault 32: a log that is an older copy, or went another way: halted, and said why")
        func olderLog() async throws {
            let postgres = try PostgresCluster()
            try postgres.start()
            try await withDaybook(postgres: postgres.url) { daybook in
                let kept = daybook.folder.path("kept")
                try await daybook.append(jobs: 0..<10)
                try await daybook.waitUntilProjected("jobs")
                try daybook.stop()
                try daybook.move(daybook.data, to: kept)
                try await daybook.start()
                try await daybook.append(jobs: 10..<20)
                try await daybook.waitUntilProjected("jobs")
                let before = try daybook.sql("SELECT * FROM daybook.checkpoints ORDER BY 1")
                try daybook.stop()

                try daybook.move(kept, to: daybook.data)
                try await daybook.startHeld()
                try await expectHalted(daybook, because: "the log lost acknowledged data")
                try await expectNoAppends(daybook)
                // As long again, with another content: the same position, another root.
                try daybook.stop()
                try postgres.stop()
                try await daybook.start()
                try await daybook.append(jobs: 1_010..<1_020)
                try daybook.stop()
                try postgres.start()
                try await daybook.startHeld()
                try await expectHalted(daybook, because: "followed another history")
                try await expectNoAppends(daybook)
                #expect(try daybook.jobIDs() == Array(0..<20), "Postgres is left alone")
                #expect(
                    try daybook.sql("SELECT * FROM daybook.checkpoints ORDER BY 1") == before)

                // The operator takes the log for right: tables are made from it, appends go on.
                let restored = try daybook.run(["restore", "--from", "log"])
                #expect(restored.status == 0, "\(restored.text)\(restored.errorText)")
                try daybook.stop()
                try await daybook.start()
                try await daybook.append(jobs: 1_020..<1_030)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.jobIDs() == Array(0..<10) + Array(1_010..<1_030))
            }
        }

        /// Appends are refused, and the status says why; reads go on.
        private func expectNoAppends(_ daybook: DaybookServer) async throws {
            let end = try daybook.status().durable_position
            let refused = try await daybook.client.append(#"[{"id":9999,"job":"x"}]"#, to: "jobs")
            #expect(refused.status == 503 && refused.text.contains("log-contradicted"))
            let status = try daybook.reasonedStatus()
            #expect(status.state == "log-contradicted" && status.durable_position == end)
            #expect(try await daybook.client.get("/v1/events?from=0&limit=3").status == 200)
        }

        private func expectHalted(_ daybook: DaybookServer, because reason: String) async throws {
            try await wait("the projections to halt") {
                try daybook.reasonedStatus().projections["jobs"]?.state == "halted"
            }
            let status = try daybook.reasonedStatus()
            #expect(status.projections.values.allSatisfy { $0.state == "halted" })
            #expect(status.projections["jobs"]?.reason?.contains(reason) == true, "\(status)")
            let said = daybook.process?.errorText ?? ""
            #expect(
                said.split(separator: "\n").contains {
                    $0.contains(reason) && $0.contains(#""level":"critical""#)
                }, "\(said.suffix(2_000))")
            let metrics = try await daybook.client.get("/metrics").text
            #expect(
                metrics.contains("projection=\"jobs\",state=\"halted\"} 1")
                    || metrics.contains("state=\"halted\",projection=\"jobs\"} 1"))
            let verified = try daybook.run(["verify", "tables"])
            #expect(verified.status != 0, "tables of another past are not sound")
        }

        @Test("Fault 34: an event that cannot be applied: failed, said, and never passed over")
        func unappliable() async throws {
            try await withDaybook { daybook in
                try await daybook.append(jobs: 0..<10)
                try await daybook.waitUntilProjected("jobs")
                let stop = try daybook.status().durable_position
                _ = try daybook.sql("ALTER TABLE jobs ADD CONSTRAINT small CHECK (id < 10)")
                try await daybook.append(jobs: 10..<20)
                try await wait("the projection to fail") {
                    try daybook.reasonedStatus().projections["jobs"]?.state == "failed"
                }
                try await daybook.append(jobs: 20..<30)
                for _ in 0..<2 {
                    let status = try daybook.reasonedStatus()
                    let jobs = try #require(status.projections["jobs"])
                    #expect(jobs.position == stop && jobs.reason?.contains("23514") == true)
                    // The others go on.
                    try await wait("the audit") {
                        try daybook.reasonedStatus().projections["audit"]?.position
                            == status.durable_position
                    }
                    #expect(try daybook.jobIDs() == Array(0..<10))
                    // A restart tries again, and stands where it stood.
                    try daybook.stop()
                    try await daybook.start()
                    try await wait("the projection to fail again") {
                        try daybook.reasonedStatus().projections["jobs"]?.state == "failed"
                    }
                }
                _ = try daybook.sql("ALTER TABLE jobs DROP CONSTRAINT small")
                let resumed = try daybook.run(["projections", "resume", "jobs"])
                #expect(resumed.status == 0, "\(resumed.errorText)")
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.jobIDs() == Array(0..<30))
            }
        }
    }
}
