import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Append") struct Append {
        /// One good job, and three rows that belong to other tables; spaces as a person types them.
        static let objects = [
            #"{"id": 1001, "job": "Lamplighter"}"#,
            #"{ "id":1002, "department":"Maps" }"#,
            #"{"id":1003,"name":"Ada King","datetime":"2021-05-30T05:43:46Z"}"#,
            #"{"name" : "no id", "department_id": 3}"#,
        ]
        static let call = "[" + objects.joined(separator: " ,\n ") + "]"

        @Test("One good row among three strangers is taken, the strangers are kept with reasons")
        func mixedBatch() async throws {
            try await withDaybook { daybook in
                let before = try daybook.status().durable_position
                let answer = try await daybook.client.append(Self.call, to: "jobs")
                #expect(answer.status == 200)
                let first = try answer.verdicts()
                #expect(first.table == "jobs" && first.rows == 4 && first.accepted == 1)
                #expect(first.position == before)
                #expect(first.rejected.map(\.index) == [1, 2, 3])
                #expect(first.rejected.map(\.position) == [before + 1, before + 2, before + 3])
                #expect(first.codes(ofRow: 1) == ["unknown_field", "missing_field"])
                for row in 1...3 { #expect(first.codes(ofRow: row).contains("missing_field")) }
                #expect(answer.header("daybook-position") == "\(before + 4)")
                try expectRowsEchoed(answer)

                let again = try await daybook.client.append(Self.call, to: "jobs")
                #expect(again.status == 400)
                #expect(again.header("content-type")?.hasPrefix("application/problem+json") == true)
                let second = try again.verdicts()
                #expect(second.accepted == 0 && second.rejected.map(\.index) == [0, 1, 2, 3])
                #expect(second.codes(ofRow: 0) == ["duplicate_key"])
                #expect(try daybook.status().durable_position == before + 8)

                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.sql("SELECT * FROM jobs") == "1001,Lamplighter,\(before)\n")
                let kept = try daybook.sql(
                    "SELECT encode(raw, 'hex') FROM daybook.rejections ORDER BY position")
                let expected = (Self.objects.dropFirst() + Self.objects).map { object in
                    object.utf8.map { String(format: "%02x", $0) }.joined()
                }
                #expect(kept.split(separator: "\n").map(String.init) == expected)
            }
        }

        @Test("The same idempotency key gives the same answer, byte for byte, and appends nothing")
        func idempotency() async throws {
            try await withDaybook { daybook in
                let client = daybook.client
                let first = try await client.append(Self.call, to: "jobs", idempotencyKey: "a/1")
                #expect(first.status == 200 && first.header("idempotency-replayed") == nil)
                let end = try daybook.status().durable_position

                func expectReplay() async throws {
                    let again = try await client.append(
                        Self.call, to: "jobs", idempotencyKey: "a/1")
                    #expect(again.status == first.status)
                    #expect(again.text == first.text)
                    #expect(again.header("idempotency-replayed") == "true")
                    #expect(try daybook.status().durable_position == end)
                }
                try await expectReplay()
                daybook.kill()
                try await daybook.start()
                try await expectReplay()

                let other = try await client.append(
                    #"{"id": 7, "job": "Cooper"}"#, to: "jobs", idempotencyKey: "a/1")
                #expect(other.status == 422)
                #expect(try daybook.status().durable_position == end)

                struct Created: Decodable { let key: String }
                let created = try daybook.json(
                    ["keys", "create", "other", "--scope", "append"], as: Created.self)
                let stranger = HTTPClient(port: client.port, key: created.key)
                let theirs = try await stranger.append(
                    #"{"id": 7, "job": "Cooper"}"#, to: "jobs", idempotencyKey: "a/1")
                #expect(theirs.status == 200, "another principal's key is another key")
            }
        }

        @Test("What is no batch is kept too; what has no key or no table is not an event")
        func refusals() async throws {
            try await withDaybook { daybook in
                let before = try daybook.status().durable_position
                for body in ["[]", "{", "[1,", ""] {
                    let answer = try await daybook.client.append(body, to: "jobs")
                    #expect(answer.status == 400, "\(body)")
                    #expect(try answer.verdicts().codes(ofRow: 0) == ["malformed_batch"], "\(body)")
                }
                let row = try await daybook.client.append("[1]", to: "jobs")
                #expect(try row.verdicts().codes(ofRow: 0) == ["malformed_row"])
                #expect(try daybook.status().durable_position == before + 5)

                let stranger = HTTPClient(port: daybook.client.port, key: "not a key")
                #expect(try await stranger.append(Self.call, to: "jobs").status == 401)
                #expect(try await daybook.client.append(Self.call, to: "ghosts").status == 404)
                let letter = try await daybook.client.append(
                    "dear all", to: "jobs", contentType: "text/plain")
                #expect(letter.status == 415)
                #expect(try daybook.status().durable_position == before + 5)
            }
        }

        @Test("A batch can be asked for by its id")
        func batchByID() async throws {
            try await withDaybook { daybook in
                let sent = try await daybook.client.append(Self.call, to: "jobs").verdicts()
                let answer = try await daybook.client.get("/v1/batches/\(sent.batch_id)")
                #expect(answer.status == 200)
                let found = try answer.verdicts()
                #expect(found.batch_id == sent.batch_id && found.position == sent.position)
                #expect(found.rows == 4 && found.accepted == 1)
                let unknown = "0190a000-0000-7000-8000-000000000000"
                #expect(try await daybook.client.get("/v1/batches/\(unknown)").status == 404)
            }
        }

        /// Each rejected row's `row` is the object that was sent.
        private func expectRowsEchoed(_ answer: HTTPAnswer) throws {
            let body = try #require(
                try JSONSerialization.jsonObject(with: answer.body) as? [String: Any])
            let rejected = try #require(body["rejected"] as? [[String: Any]])
            for (object, entry) in zip(Self.objects.dropFirst(), rejected) {
                let sent = try JSONSerialization.jsonObject(with: Data(object.utf8))
                #expect(entry["row"] as? NSDictionary == sent as? NSDictionary)
            }
        }
    }
}
