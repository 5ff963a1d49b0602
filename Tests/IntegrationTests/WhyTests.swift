import Foundation
import TestSupport
import Testing

/// `daybook why --json`, and `GET /v1/{table}/{key}/history`.
private struct History: Decodable {
    let table: String
    let state: String
    let events: [Event]
    let next: Int?

    struct Event: Decodable, Equatable {
        let position: Int
        let batch_id: String
        let index: Int
        let source: String
        let line: Int?
        let principal: String
        let idempotency_key: String?
        let request_digest: String?
        let dictionary: String
        let leaf: String
        let corrected: Corrected?
        let backups: [Backup]?
    }

    struct Corrected: Decodable, Equatable {
        let position: Int
        let source: String
        let reasons: [Reason]
    }

    struct Reason: Decodable, Equatable {
        let code: String
    }

    struct Backup: Decodable, Equatable {
        let backup: String
    }
}

extension Integration {
    @Suite("Why a row is there") struct WhyARow {
        private func why(_ daybook: DaybookServer, _ key: String...) throws -> History {
            try daybook.json(["why"] + key, as: History.self)
        }

        @Test("By HTTP, from a line of a file, corrected, backed up: with a server and without")
        func origins() async throws {
            try await withDaybook { daybook in
                // Lines of the file: 1 the header, 2 and 3 one row, 4 blank, 5 bad, 6 good.
                try daybook.folder.write(
                    "id,job\n1001,\"two\nlines\"\n\n1002\n1003,Lamplighter\n", to: "jobs.csv")
                _ = try daybook.json(
                    ["import", "jobs", daybook.folder.path("jobs.csv"), "--header"],
                    as: ImportSummary.self)
                let answer = try await daybook.client.append(
                    #"[{"id":7},{"id":8,"job":"Cook"}]"#, to: "jobs", idempotencyKey: "k-1")
                let verdicts = try answer.verdicts()
                let rejected = try #require(verdicts.rejected.first)
                let mended = try daybook.run([
                    "rejections", "resubmit", "\(rejected.position)", "--row",
                    #"{"id":7,"job":"Clerk"}"#,
                ])
                #expect(mended.status == 0, "\(mended.errorText)")
                try await daybook.waitUntilProjected("jobs")
                let made = try daybook.json(["backup", "create"], as: MadeBackup.self)
                _ = try await daybook.client.append(#"{"id":9,"job":"Late"}"#, to: "jobs")

                let byFile = try why(daybook, "jobs", "1003").events[0]
                #expect(byFile.source == "csv:jobs.csv" && byFile.line == 6)
                #expect(byFile.principal.hasPrefix("local:"))
                #expect(try why(daybook, "jobs", "1001").events[0].line == 2)
                let byHTTP = try why(daybook, "jobs", "8").events[0]
                #expect(byHTTP.position == verdicts.position + 1 && byHTTP.index == 1)
                #expect(byHTTP.batch_id == verdicts.batch_id && byHTTP.source == "http")
                #expect(byHTTP.idempotency_key == "k-1" && byHTTP.line == nil)
                #expect(byHTTP.backups == [.init(backup: made.backup)])
                let corrected = try why(daybook, "jobs", "7").events[0]
                #expect(corrected.corrected?.position == rejected.position)
                #expect(corrected.corrected?.reasons.map(\.code) == ["missing_field"])
                #expect(try why(daybook, "jobs", "9").events[0].backups == [])

                // psql and the proof say the same of it.
                #expect(
                    try daybook.sql("SELECT ledger_position FROM jobs WHERE id = 1003")
                        == "\(byFile.position)\n")
                let proof = try daybook.run(["proof", "get", byFile.batch_id])
                #expect(proof.text.contains(byFile.leaf))
                for id in ["1003", "8", "7", "9"] {
                    let http = try await daybook.client.get("/v1/jobs/\(id)/history")
                    let read = try JSONDecoder().decode(History.self, from: http.body)
                    #expect(try read.events == why(daybook, "jobs", id).events)
                }
                #expect(try await daybook.client.get("/v1/jobs/1002/history").status == 404)
                let text = try daybook.run(["why", "jobs", "7"]).text
                #expect(text.hasPrefix("jobs 7: present, from resubmission\n"))
                #expect(text.contains("missing_field (job): ") && text.contains(made.backup))
                try expectErrors(daybook)
                _ = try daybook.stop()
                #expect(try why(daybook, "jobs", "1003").events[0] == byFile)
                try expectErrors(daybook)
            }
        }

        private func expectErrors(_ daybook: DaybookServer) throws {
            for (arguments, status, part) in [
                (["jobs", "1002"], 1, "daybook rejections list --table jobs"),
                (["ghosts", "1"], 2, "there are departments"), (["jobs", "x"], 2, "no value of id"),
                (["jobs", "1", "2"], 2, "has 1 value (id), and 2 were given"),
                (["jobs", "--", "-5"], 1, "no row jobs -5"), (["jobs"], 2, "<key>"),
            ] as [([String], Int32, String)] {
                let result = try daybook.run(["why"] + arguments)
                #expect(result.status == status, "\(arguments): \(result.errorText)")
                #expect(result.errorText.contains(part), "\(arguments): \(result.errorText)")
            }
            let absent = try daybook.run(["why", "jobs", "1002", "--json"])
            #expect(absent.status == 1)
            let object = try JSONDecoder().decode(History.self, from: absent.output)
            #expect(object.state == "absent" && object.events.isEmpty)
        }

        @Test("A key of two texts, and what was acknowledged a moment ago")
        func composite() async throws {
            let folder = try TemporaryFolder()
            try await withDaybook(catalog: OtherTrade.catalog(in: folder)) { daybook in
                for number in 1...5 {
                    let row =
                        #"{"merchant":"Fjord, AS","reference":"AB-\#(number)","amount":"1.5","#
                        + #""booked_on":"2024-02-29","settled":true}"#
                    let verdicts = try await daybook.client.append(row, to: "payments").verdicts()
                    let found = try why(daybook, "payments", "Fjord, AS", "AB-\(number)")
                    #expect(found.events.map(\.position) == [verdicts.position])
                    let http = try await daybook.client.get(
                        "/v1/payments/Fjord%2C%20AS,AB-\(number)/history")
                    let read = try JSONDecoder().decode(History.self, from: http.body)
                    #expect(read.events.map(\.position) == [verdicts.position])
                }
                // It needs nothing of the server: not even that it goes on.
                daybook.process?.signal(SIGSTOP)
                defer { daybook.process?.signal(SIGCONT) }
                let found = try daybook.run(
                    ["why", "payments", "Fjord, AS", "AB-1"], timeoutSeconds: 30)
                #expect(found.status == 0, "\(found.errorText)")
                #expect(found.text.hasPrefix("payments Fjord, AS AB-1: present, from http\n"))
                let none = try daybook.run(["why", "readings", "1"])
                #expect(none.status == 2 && none.errorText.contains("log cat --table readings"))
            }
        }
    }
}
