import Avro
import DaybookCatalog
import DaybookLog
import DaybookSegments
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Histories of keys")
struct KeyHistoryTests {
    private func history(
        _ bench: Bench, _ table: String, _ key: String..., after: Position? = nil
    ) throws -> KeyHistory {
        let asked = try AskedKey(key, of: table, in: bench.catalog)
        return try KeyHistory(of: asked, by: bench.catalog, in: bench.log, after: after)
    }

    @Test("A row tells its batch, sender, request, line and leaf; another key has no history")
    func origin() async throws {
        let bench = try Bench()
        let rows = #"[{"id":1,"name":"a"},{"id":2},{"id":300,"name":"c"}]"#
        let receipt = try await bench.append("departments", rows, key: "k", principal: "eve")
        _ = try await bench.append("departments", #"{"id":4,"name":"d"}"#)
        let found = try history(bench, "departments", "300")
        #expect(found.presence == .present && found.next == nil)
        #expect(found.position == bench.log.durable.position)
        let event = try #require(found.events.first)
        #expect(found.events.count == 1 && event.position == receipt.position + 2)
        #expect(event.index == 2 && event.batch.id == receipt.batchID)
        #expect(event.batch.principal == "eve" && event.batch.idempotencyKey == "k")
        #expect(event.batch.requestDigest.count == 32 && event.leaf == receipt.leaf)
        #expect(event.batch.dictionary == bench.catalog.version && event.line == nil)
        #expect(event.corrected == nil && event.retraction == nil)
        // The row's bytes: 300, and "c".
        #expect(event.row == [0xD8, 0x04, 0x02, 0x63])
        let absent = try history(bench, "departments", "2")
        #expect(absent.presence == .absent && absent.events.isEmpty, "it was rejected")
    }

    @Test("A row of a file has its line, and a row that mends a rejection names the first one")
    func corrected() async throws {
        let bench = try Bench()
        let submission = try bench.submission("departments", #"[{"id":1},{"id":2,"name":"b"}]"#)
        let first = try #require(try await bench.ledger.append(submission).rejected.first).position
        func resubmit(_ position: Position, _ json: String) async throws -> Receipt {
            let stored = try #require(try bench.ledger.rejection(at: position))
            return try await bench.append(
                "departments", json, corrects: [RowCorrection(row: 0, rejection: stored.root)])
        }
        let retry = try await resubmit(first, #"{"id":1,"name":7}"#)
        let second = try #require(retry.rejected.first).position
        _ = try await resubmit(second, #"{"id":1,"name":"a"}"#)
        let event = try #require(try history(bench, "departments", "1").events.first)
        let mended = try #require(event.corrected)
        #expect(mended.position == first && mended.batch.id != event.batch.id)
        #expect(mended.rejection.reasons.map(\.code) == ["missing_field"])
        #expect(try history(bench, "departments", "2").events.first?.corrected == nil)

        let file = Submission(
            batch: try bench.judged("departments", #"[{"id":5},{"id":6,"name":"f"}]"#),
            source: "csv:d.csv", principal: "local:ann", idempotencyKey: nil,
            requestDigest: Array(repeating: 1, count: 32), dictionary: bench.catalog.version,
            firstLine: 41)
        _ = try await bench.ledger.append(file)
        let row = try #require(try history(bench, "departments", "6").events.first)
        #expect(row.line == 42 && row.batch.source == "csv:d.csv")
    }

    @Test("What was taken back says when, by whom and why; other rows and other events do not")
    func retracted() async throws {
        let bench = try Bench()
        let receipt = try await bench.append(
            "departments", #"[{"id":1,"name":"a"},{"id":2,"name":"b"},{"id":3,"name":"c"}]"#)
        let first = receipt.position
        let text = Array(#"{"note":"sent twice","by":"ann"}"#.utf8)
        let none = Control(kind: "waiver", refersTo: [first..<(first + 3)], text: text)
        let taken = Control(
            kind: "retraction", refersTo: [first..<(first + 1), (first + 2)..<(first + 3)],
            text: text)
        let record = try await bench.ledger.record([none, taken])
        let other = Control(
            kind: "retraction", refersTo: [first..<(first + 3)], text: Array("{}".utf8))
        for id in ["1", "3"] {
            let found = try history(bench, "departments", id)
            #expect(found.presence == .retracted && found.events.count == 1)
            let retraction = try #require(found.events[0].retraction)
            #expect(retraction.position == record.position + 1)
            #expect(retraction.batchID == record.batchID)
            #expect(retraction.receivedAt == record.receivedAt)
            #expect(retraction.note == "sent twice" && retraction.by == "ann")
        }
        let standing = try history(bench, "departments", "2")
        #expect(standing.presence == .present && standing.events[0].retraction == nil)
        // The first one counts; and one whose text says nothing still takes the row back.
        _ = try await bench.ledger.record([other])
        #expect(try history(bench, "departments", "1").events[0].retraction?.note == "sent twice")
        let second = try history(bench, "departments", "2")
        #expect(second.presence == .retracted && second.events[0].retraction?.by == nil)
    }

    private static let kinds = """
        table: kinds
        key: [n, d, b, s, day, at, u]
        columns:
          - {name: n, type: number}
          - {name: d, type: "decimal(9,2)"}
          - {name: b, type: boolean}
          - {name: s, type: string}
          - {name: day, type: date}
          - {name: at, type: timestamp}
          - {name: u, type: uuid}
          - {name: note, type: string, optional: true}
        """

    @Test("A key of any types is found in whatever notation it is asked, and no other row is")
    func types() async throws {
        let bench = try Bench(Self.kinds)
        let row = { (s: String) in
            #"{"n":-2.5,"d":"-1.50","b":true,"s":"\#(s)","day":"2024-02-29","#
                + #""at":"2024-02-29T12:00:00.25+02:00","#
                + #""u":"00112233-4455-6677-8899-AABBCCDDEEFF"}"#
        }
        let receipt = try await bench.append("kinds", "[\(row("ä, b")),\(row("ä, ")),\(row("ä"))]")
        #expect(receipt.acceptedCount == 3)
        for (number, day) in [("-2.5", "2024-02-29"), ("-25e-1", "2024-02-29")] {
            let found = try history(
                bench, "kinds", number, "-1.5", "true", "ä, b", day, "2024-02-29T10:00:00.250Z",
                "00112233-4455-6677-8899-aabbccddeeff")
            #expect(found.events.map(\.position) == [receipt.position])
            #expect(
                found.key.values == [
                    "-2.5", "-1.50", "true", "ä, b", "2024-02-29", "2024-02-29T10:00:00.25Z",
                    "00112233-4455-6677-8899-aabbccddeeff",
                ])
        }
        let payments = try Bench()
        try await payments.append("currencies", #"{"code":"EUR"}"#)
        let body = #"[{"account":"a","day":"2024-01-01","currency":"EUR"},"#
            + #"{"account":"a","day":"2024-01-02","currency":"EUR","note":"n"}]"#
        #expect(try await payments.append("payments", body).acceptedCount == 2)
        #expect(try history(payments, "payments", "a", "2024-01-02").events.count == 1)
        #expect(try history(payments, "payments", "b", "2024-01-02").presence == .absent)
    }

    @Test("What cannot be a key says what would be right")
    func faults() throws {
        let catalog = try CatalogLoader.load(text: Bench.trade)
        let cases: [(String, [String], KeyFault, String)] = [
            (
                "dept", ["1"],
                .unknownTable(
                    "dept",
                    known: ["currencies", "departments", "employees", "payments", "readings"]),
                "there are currencies, departments"
            ),
            ("readings", ["1"], .noKey("readings"), "have no key"),
            (
                "payments", ["a"],
                .wrongCount(table: "payments", columns: ["account", "day"], given: 1),
                "has 2 values (account, day), and 1 was given"
            ),
            (
                "departments", ["x"], .badValue(column: "id", type: .integer, text: "x"),
                "\"x\" is no value of id, which is integer"
            ),
            (
                "payments", ["a", "2023-02-29"],
                .badValue(column: "day", type: .date, text: "2023-02-29"), "which is date"
            ),
        ]
        for (table, key, fault, part) in cases {
            #expect(throws: fault) { try AskedKey(key, of: table, in: catalog) }
            #expect(fault.description.contains(part), "\(fault.description)")
        }
    }

    @Test("Rows of an older dictionary have the key that the one in force gives them")
    func olderDictionary() async throws {
        func dictionary(_ columns: String, key: String) -> String {
            "table: goods\nkey: \(key)\ncolumns:\n\(columns)"
        }
        let before = dictionary(
            """
              - {name: id, type: integer}
              - {name: price, type: "decimal(6,2)"}
            """, key: "[id]")
        let after = dictionary(
            """
              - {name: price, type: "decimal(9,4)"}
              - {name: shelf, type: string, default: a}
              - {name: id, type: number}
            """, key: "[id, shelf, price]")
        let old = try Bench(before)
        let first = try await old.append("goods", #"[{"id":1,"price":"1.50"},{"id":2,"price":3}]"#)
        old.close()
        let new = try Bench(after, log: old.log, folder: old.folder)
        let second = try await new.append("goods", #"{"id":1,"price":"1.5001","shelf":"a"}"#)
        let event = try #require(try history(new, "goods", "1", "a", "1.5").events.first)
        #expect(event.position == first.position)
        #expect(event.batch.dictionary == old.catalog.version)
        #expect(try history(new, "goods", "1", "a", "1.5001").events[0].position == second.position)
        #expect(try history(new, "goods", "1", "b", "1.5").presence == .absent)
        #expect(
            try PastCatalogs.inForce(of: new.log, segmentStarts: [0, first.endPosition])?.version
                == new.catalog.version)
    }
}
