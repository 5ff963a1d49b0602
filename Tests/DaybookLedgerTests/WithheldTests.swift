import Avro
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Rejected bytes that are not kept")
struct WithheldTests {
    private static let trade = """
        table: logins
        key: [id]
        rejectedRaw: digest
        columns:
          - {name: id, type: integer}
          - {name: word, type: string, maxLength: 8}
          - {name: site, type: integer, optional: true, references: sites}
        ---
        table: sites
        key: [id]
        columns:
          - {name: id, type: integer}
        """

    private func sha256(_ text: String) throws -> String {
        let result = try runTool("sha256sum", [], input: Data(text.utf8))
        return String(result.text.prefix(64))
    }

    private func hex(_ bytes: [UInt8]?) -> String? {
        bytes?.map { String(UInt16($0) + 256, radix: 16).dropFirst() }.joined()
    }

    @Test("The log has a digest that sha256sum gives too, and reasons without values")
    func digest() async throws {
        let bench = try Bench(Self.trade)
        let rows = [
            #"{"id":4711,"word":"fine"}"#, #"{"id":4711,"word":"other"}"#,
            #"{"id":5,"word":"far too long"}"#, #"{"id":6,"word":"s","site":4712}"#,
        ]
        let receipt = try await bench.append("logins", "[\(rows.joined(separator: ","))]", key: "k")
        #expect(
            receipt.brief == [
                "1 duplicate_key(id)", "2 too_long(word)", "3 unknown_reference(site)",
            ])
        for row in receipt.rejected {
            #expect(row.rejection.raw.isEmpty)
            #expect(row.rejection.rawLength == Int64(rows[row.index].utf8.count))
            #expect(try hex(row.rejection.digest) == sha256(rows[row.index]))
        }
        let messages = receipt.rejected.flatMap { $0.rejection.reasons.map(\.message) }
        #expect(!messages.joined().contains("471"), "\(messages)")

        try bench.open()
        let replay = try #require(try bench.ledger.batch(at: receipt.position))
        #expect(replay.rejected == receipt.rejected && replay.principal == "ann")
    }

    @Test("Of a body that is no batch the digest is of all of it")
    func malformed() async throws {
        let bench = try Bench(Self.trade)
        let body = String(repeating: "[", count: 100_000)
        let receipt = try await bench.append("logins", body)
        let rejection = try #require(receipt.rejected.first).rejection
        #expect(rejection.raw.isEmpty && rejection.rawLength == 100_000)
        #expect(try hex(rejection.digest) == sha256(body))
    }

    @Test("A table of the same dictionary that does not say so keeps its bytes")
    func others() async throws {
        let bench = try Bench(Self.trade)
        let receipt = try await bench.append("sites", #"[{"id":"x"}]"#)
        let rejection = try #require(receipt.rejected.first).rejection
        #expect(rejection.raw == Array(#"{"id":"x"}"#.utf8))
        #expect(rejection.digest == nil && rejection.rawLength == nil)
        #expect(rejection.reasons[0].message.contains("x"))
    }
}
