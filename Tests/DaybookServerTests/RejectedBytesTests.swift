import DaybookCatalog
import Foundation
import HummingbirdTesting
import Testing

@testable import DaybookServer

@Suite("Who may read rejected bytes")
struct RejectedBytesTests {
    private struct Batch: Decodable {
        let batch_id: String
        let rejected: [Row]

        struct Row: Decodable {
            let reasons: [Reason]
            let row: [String: String]?
            let row_digest: String?
            let row_length: Int?
        }
        struct Reason: Decodable {
            let code: String
            let message: String?
        }
    }

    private func batch(_ response: TestResponse) throws -> Batch {
        try JSONDecoder().decode(Batch.self, from: Data(response.body.readableBytesView))
    }

    @Test("Others' rejected rows take the scope audit; who sent them sees what they were told")
    func audit() async throws {
        try await withServer { client, _, _ in
            let body = #"[{"id":"hunter2","job":"a"},{"hunter2":"1"}]"#
            let headers = ["Idempotency-Key": "1"]
            let sent = try await client.append(body, key: "other", headers: headers)
            let told = try #require(try batch(sent).rejected.first)
            #expect(told.row == ["id": "hunter2", "job": "a"] && told.reasons[0].message != nil)
            let again = try await client.append(body, key: "other", headers: headers)
            #expect(again.body == sent.body)

            let path = "/v1/batches/\(try batch(sent).batch_id)"
            for key in ["other", "all", "jobs"] {
                let answer = try await client.get(path, key: key)
                let row = try #require(try batch(answer).rejected.first)
                #expect(row.row == told.row, "\(key)")
                #expect(row.reasons[0].message == told.reasons[0].message)
            }
            let read = try await client.get(path, key: "reader")
            #expect(read.status == .ok && !String(buffer: read.body).contains("hunter2"))
            let row = try #require(try batch(read).rejected.first)
            #expect(row.reasons[0].code == "wrong_type" && row.reasons[0].message == nil)
            #expect(try await client.get("/v1/events", key: "reader").status == .forbidden)
        }
    }

    @Test("Bytes that are not kept are a digest to everyone, their sender and a replay too")
    func withheld() async throws {
        let jobs = """
            table: jobs
            key: [id]
            rejectedRaw: digest
            columns:
              - {name: id, type: integer}
              - {name: job, type: string}
            """
        try await withServer(catalog: try CatalogLoader.load(text: jobs)) { client, _, _ in
            let body = #"[{"id":"hunter2","job":"a"}]"#
            let headers = ["Idempotency-Key": "1"]
            let sent = try await client.append(body, headers: headers)
            let row = try #require(try batch(sent).rejected.first)
            #expect(row.row == nil && row.row_length == 26)
            #expect(row.row_digest?.count == "sha256:".count + 64)
            #expect(try await client.append(body, headers: headers).body == sent.body)
            let path = "/v1/batches/\(try batch(sent).batch_id)"
            for path in [path, "/v1/events", "/v1"] {
                let text = String(buffer: try await client.get(path).body)
                #expect(!text.contains("hunter2"))
                let mark = path == "/v1" ? #""rejectedRaw":"digest""# : row.row_digest ?? "?"
                #expect(text.contains(mark), "\(path): \(text)")
            }
        }
    }
}
