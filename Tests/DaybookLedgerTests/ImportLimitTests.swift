import Avro
import DaybookIntake
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Limits of rejections")
struct ImportLimitTests {
    struct Stop: Error {}

    @Test(
        "A limit is a number or a share with up to four digits behind the point",
        arguments: [
            ("10", RejectLimit.count(10)), ("0", .count(0)), ("0%", .millionths(0)),
            ("2.5%", .millionths(25_000)), ("0.0001%", .millionths(1)),
            ("100%", .millionths(1_000_000)), ("", nil), ("%", nil), ("-1", nil), ("+1", nil),
            ("2.5", nil), ("1e3", nil), ("101%", nil), ("100.1%", nil), (".5%", nil), ("5.%", nil),
            ("1.00001%", nil), ("1.2.3%", nil), ("10 %", nil), ("ten", nil), ("٣", nil),
            ("99999999999999999999", nil),
        ])
    func parse(text: String, limit: RejectLimit?) {
        #expect(RejectLimit(text) == limit)
        if let limit { #expect(limit.text == text && RejectLimit(limit.text) == limit) }
    }

    @Test("A share is held to exactly: 2.5 % of 40 rows is one row, of 39 none")
    func share() {
        let limit = RejectLimit.millionths(25_000)
        #expect(!limit.isExceeded(rejected: 1, of: 40) && limit.isExceeded(rejected: 1, of: 39))
        #expect(limit.whole(of: 79) == .count(1) && limit.whole(of: 80) == .count(2))
    }

    /// Rows of payments (keys of texts) and of employees (integers, two unique rules, references
    /// to others and to themselves), of which some repeat others of the file or of the ledger.
    private func file(
        _ table: String, _ count: Int, _ random: inout SeededGenerator
    ) -> [UInt8] {
        var text = ""
        for id in 0..<count {
            if Int.random(in: 0..<60, using: &random) == 0 { text += "\n" }
            let other = Int.random(in: 0..<max(id, 1), using: &random)
            let isOdd = Int.random(in: 0..<40, using: &random) == 0
            let key = isOdd ? other : id
            if table == "payments" {
                let currency = Int.random(in: 0..<40, using: &random) == 0 ? "XXX" : "EUR"
                text += "a\(key),2021-11-07,\(currency),\"two\nlines\"\n"
            } else {
                let department = Int.random(in: 0..<40, using: &random) == 0 ? 9 : 1
                let mail = id % 97 == 0 && !isOdd ? id - 1 : id
                text += "\(key),m\(mail),\(department),\(other)\n"
            }
        }
        return Array(text.utf8)
    }

    private func request(_ bytes: [UInt8], _ table: String) -> ImportRequest {
        ImportRequest(
            file: "f.csv", table: table, format: .csv(.absent),
            digest: bytes.withUnsafeBytes { Digest(of: $0) }, principal: "local:ann")
    }

    /// A ledger with a department, a currency and, so that files repeat it, some rows.
    private func bench() async throws -> Bench {
        let bench = try Bench()
        for (table, rows) in [
            ("departments", #"[{"id":1,"name":"one"}]"#), ("currencies", #"[{"code":"EUR"}]"#),
            ("employees", #"[{"id":5,"email":"m9","department_id":1}]"#),
            ("payments", #"[{"account":"a7","day":"2021-11-07","currency":"EUR"}]"#),
        ] {
            _ = try await bench.append(table, rows)
        }
        return bench
    }

    private func importer(_ bench: Bench, _ table: String) throws -> Importer {
        guard let table = bench.catalog.table(named: table) else { throw Stop() }
        let judge = Judge(
            table: table, constraints: bench.catalog.constraints,
            fingerprintKey: bench.ledger.fingerprintKey)
        return Importer(ledger: bench.ledger, judge: judge, dictionary: bench.catalog.version)
    }

    /// Gives the bytes in pieces; an error after so many of them.
    private struct Pieces {
        let bytes: [UInt8]
        var stopAfter = Int.max
        var size = 30_000
        var place = 0
        var count = 0

        mutating func next() throws -> Bytes? {
            if count == stopAfter { throw Stop() }
            count += 1
            if place == bytes.count { return nil }
            let end = min(place + size, bytes.count)
            defer { place = end }
            return Bytes(Array(bytes[place..<end]))
        }
    }

    private func check(
        _ bytes: [UInt8], _ table: String, _ limit: RejectLimit, _ bench: Bench
    ) async throws -> ImportSummary {
        var pieces = Pieces(bytes: bytes)
        return try await importer(bench, table).check(request(bytes, table), limit: limit) {
            try pieces.next()
        }
    }

    private func run(
        _ bytes: [UInt8], _ table: String, _ bench: Bench, limit: RejectLimit? = nil,
        stopsEarly: Bool = false, stopAfter: Int = .max
    ) async throws -> ImportSummary {
        var pieces = Pieces(bytes: bytes, stopAfter: stopAfter)
        return try await importer(bench, table).run(
            request(bytes, table), limit: limit, stopsEarly: stopsEarly
        ) { try pieces.next() }
    }

    @Test(
        "A check finds what the import finds, row by row, and appends nothing",
        arguments: ["payments", "employees"])
    func checkIsExact(table: String) async throws {
        var random = SeededGenerator()
        let bytes = file(table, 12_345, &random)
        let bench = try await bench()
        let position = bench.log.durable.position
        let check = try await check(bytes, table, .count(.max), bench)
        #expect(bench.log.durable.position == position)
        #expect(check.rows == 0 && check.stop == nil && check.firstPosition == nil)
        let summary = try await run(bytes, table, bench)
        let counts = try #require(check.checked)
        #expect(counts.rows == summary.rows, "seed \(random.seed)")
        #expect(counts.accepted == summary.accepted, "seed \(random.seed)")
        #expect(counts.rejected == summary.rejected && counts.rejected > 100)
        #expect(check.codes == summary.codes, "seed \(random.seed)")
        #expect(check.firstLines == summary.firstLines && !check.firstLines.isEmpty)
        #expect(check.blank == summary.blank)
        #expect(check.codes["duplicate_key"] ?? 0 > 0)
        #expect(check.codes["unknown_reference"] ?? 0 > 0)
    }

    @Test("A check counts the rows that an earlier run left in the log as the log has them")
    func checkAfterInterruption() async throws {
        var random = SeededGenerator()
        let bytes = file("payments", 40_000, &random)
        let bench = try await bench()
        await #expect(throws: ImportError.self) {
            try await run(bytes, "payments", bench, stopAfter: 25)
        }
        let left = bench.log.durable.position
        let check = try await check(bytes, "payments", .count(3), bench)
        #expect(bench.log.durable.position == left)
        #expect(check.rows >= 5_000 && check.rows == check.accepted + check.rejected)
        let summary = try await run(bytes, "payments", bench)
        #expect(check.checked?.rejected == summary.rejected, "seed \(random.seed)")
        #expect(check.codes == summary.codes && check.firstLines == summary.firstLines)
        #expect(check.stop != nil)
    }

    @Test("A check stops at the row that is one too many, and not at the one before")
    func checkLimit() async throws {
        let bytes = Array("1,a\nx,b\n\n2,c\n1,d\ny,e\n".utf8)
        let bench = try Bench()
        let over = try await check(bytes, "departments", .count(1), bench)
        #expect(over.stop == ImportSummary.Stop(line: 5))
        #expect(over.codes == ["wrong_type": 2, "duplicate_key": 1])
        #expect(over.firstLines == ["wrong_type": [2, 6], "duplicate_key": [5]])
        #expect(try await check(bytes, "departments", .count(3), bench).stop == nil)
        #expect(try await check(bytes, "departments", .millionths(600_000), bench).stop == nil)
        let share = try await check(bytes, "departments", .millionths(599_999), bench)
        #expect(share.stop == ImportSummary.Stop(line: nil))
    }

    @Test("Kept to its limit an import stops at a chunk's end, and goes on with a higher limit")
    func keepGood() async throws {
        var random = SeededGenerator()
        let bytes = file("employees", 17_000, &random)
        let whole = try await bench()
        let expected = try await run(bytes, "employees", whole)
        let bench = try await bench()
        let first = try await run(
            bytes, "employees", bench, limit: .count(3), stopsEarly: true)
        #expect(first.rows == 5_000 && first.rows == first.accepted + first.rejected)
        #expect(first.stop?.line != nil)
        let share = try await run(
            bytes, "employees", bench, limit: .millionths(1), stopsEarly: true)
        #expect(share.rows == 5_000 && share.stop?.line != nil)
        let all = try await run(
            bytes, "employees", bench, limit: .millionths(1_000_000), stopsEarly: true)
        #expect(all == expected, "seed \(random.seed)")
        #expect(try await run(bytes, "employees", bench).isAlreadyImported)
    }

    @Test("A share says nothing before its 1,000th row, and everything at the end")
    func shortFile() async throws {
        let bytes = Array("x,a\n1,b\n".utf8)
        let bench = try Bench()
        let summary = try await run(
            bytes, "departments", bench, limit: .millionths(400_000), stopsEarly: true)
        #expect(summary.rows == 2 && summary.stop == ImportSummary.Stop(line: nil))
        #expect(
            try await !run(bytes, "departments", bench, limit: .count(1)).isAlreadyImported)
    }

    @Test("What others append after a check is noticed: the import stops and is not done")
    func othersAppend() async throws {
        let rows = (0..<40_000).map { "\($0),n\n" }.joined()
        let bytes = Array(rows.utf8)
        let bench = try Bench()
        let check = try await check(bytes, "departments", .count(0), bench)
        #expect(check.stop == nil)
        _ = try await bench.append("departments", #"[{"id":3,"name":"first"}]"#)
        let summary = try await run(bytes, "departments", bench, limit: .count(0))
        #expect(summary.stop == ImportSummary.Stop(line: 4))
        #expect(summary.rows < 40_000 && summary.rejected == 1)
        #expect(bench.log.durable.position == 3 + summary.rows)
        let again = try await run(bytes, "departments", bench, limit: .count(1))
        #expect(again.rows == 40_000 && !again.isAlreadyImported && again.stop == nil)
    }

    @Test("A trial keeps as many fingerprints as it may, and the bitmaps of all integers")
    func bounded() async throws {
        let bench = try await bench()
        let trial = Trial(fingerprintCountMax: 10)
        func weigh(_ table: String, _ json: String) async throws -> Weighing {
            let batch = try bench.judged(table, json)
            return try await withCheckedContinuation { continuation in
                let submission = Submission(
                    batch: batch, source: "csv:f", principal: "p", idempotencyKey: nil,
                    requestDigest: [], dictionary: bench.catalog.version, firstLine: 1)
                bench.ledger.weigh(submission, in: trial) { continuation.resume(returning: $0) }
            }.get()
        }
        let codes = (0..<20).map { #"{"code":"C\#($0)"}"# }.joined(separator: ",")
        #expect(try await weigh("currencies", "[\(codes)]") == .judged(rowCount: 20, rejected: []))
        guard case .judged(_, let rejected) = try await weigh("currencies", "[\(codes)]") else {
            throw Stop()
        }
        #expect(rejected.map(\.line) == Array(1...10))
        #expect(rejected.allSatisfy { $0.codes == ["duplicate_key"] })
        let department = #"[{"id":8,"name":"n"}]"#
        #expect(
            try await weigh("departments", department) == .judged(rowCount: 1, rejected: []))
        #expect(
            try await weigh("departments", department)
                == .judged(
                    rowCount: 1, rejected: [JudgedRejection(line: 1, codes: ["duplicate_key"])]))
    }
}
