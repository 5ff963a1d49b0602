import Avro
import DaybookCatalog
import DaybookLog
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// Values of every type, and random histories, judged by Postgres.
@Suite("Drift: values of every type") struct DriftValueTests {
    private static let old = """
        table: t
        key: [code, at]
        columns:
          - {name: code, type: string}
          - {name: at, type: timestamp}
          - {name: amount, type: "decimal(12,1)"}
          - {name: rate, type: number, optional: true}
        """
    private static let new = """
        table: t
        key: [code, at]
        columns:
          - {name: on, type: date, default: 1999-12-31}
          - {name: code, type: string}
          - {name: amount, type: "decimal(14,3)"}
          - {name: at, type: timestamp}
          - {name: tag, type: uuid, optional: true}
          - {name: ok, type: boolean, default: true}
          - {name: paid, type: "decimal(38,38)", default: "-0.5"}
          - {name: rate, type: number, optional: true}
          - {name: note, type: string, optional: true}
        """

    /// A log whose first half was written without half the columns.
    private func history(_ generator: inout SeededGenerator) async throws -> World {
        let before = try await World([Self.old])
        let moments: [Int64] = [0, -1, 946_684_800_000_000, -62_135_596_800_000_000]
        func moment(_ row: Int, _ generator: inout SeededGenerator) -> Int64 {
            row < moments.count
                ? moments[row] : Int64.random(in: -1 << 54...1 << 54, using: &generator)
        }
        func number(_ row: Int, _ generator: inout SeededGenerator) -> Double? {
            let fixed: [Double?] = [nil, 0, -0.0, .leastNonzeroMagnitude]
            return row < fixed.count ? fixed[row] : Double.random(in: -1e9...1e9, using: &generator)
        }
        for batch in 0..<3 {
            try before.append([
                (
                    "t",
                    (0..<50).map { row in
                        let time = moment(row, &generator)
                        let amount = Int128.random(in: -100_000...100_000, using: &generator)
                        let rate = number(row, &generator)
                        return .accepted { sink in
                            sink.append(string: "old \(batch) \(row)")
                            sink.append(long: time)
                            sink.append(bytes: amount.twosComplement)
                            sink.append(optional: rate) { $0.append(double: $1) }
                        }
                    }
                )
            ])
        }
        let world = try before.adopting([Self.new])
        for batch in 0..<3 {
            try world.append([
                (
                    "t",
                    (0..<50).map { row in
                        let time = moment(row, &generator)
                        let day = Int64.random(in: -700_000...2_900_000, using: &generator)
                        let amount = Int128.random(in: -1 << 46...1 << 46, using: &generator)
                        let paid = Int128.random(in: -1 << 120...1 << 120, using: &generator)
                        let rate = number(row, &generator)
                        let isRare = Bool.random(using: &generator)
                        return .accepted { sink in
                            sink.append(long: day)
                            sink.append(string: "ä|\u{1F98A} \(batch) \(row)")
                            sink.append(bytes: amount.twosComplement)
                            sink.append(long: time)
                            sink.append(optional: isRare ? World.batchID(7) : nil) {
                                $0.append(string: $1)
                            }
                            sink.append(boolean: isRare)
                            sink.append(bytes: paid.twosComplement)
                            sink.append(optional: rate) { $0.append(double: $1) }
                            sink.append(optional: isRare ? "" : nil) { $0.append(string: $1) }
                        }
                    }
                )
            ])
        }
        await world.projectAll()
        return world
    }

    @Test("A table that nobody touched equals its log, whatever its types and its schemas were")
    func untouched() async throws {
        var generator = SeededGenerator()
        let world = try await history(&generator)
        let found = try world.drift("t")
        #expect(found.isEmpty, "seed \(generator.seed): \(found)")
        #expect(found.expected.rowCount == 300 && found.found.rowCount == 300)
    }

    @Test("Values are named as the interface writes them, and those no column should hold too")
    func names() async throws {
        var generator = SeededGenerator()
        let world = try await history(&generator)
        let key = "code = 'ä|\u{1F98A} 0 1' AND at = '1969-12-31 23:59:59.999999Z'"
        _ = try world.psql(
            """
            UPDATE t SET "on" = '2021-11-07', amount = -1234.5, tag = NULL, ok = false,
                paid = 0.1, rate = '-0', note = E'a\\n"b"' WHERE \(key);
            """)
        func cells() throws -> [String: String] {
            let changed = try #require(try world.drift("t").different.first)
            #expect(changed.key.last == .text("1969-12-31T23:59:59.999999Z"))
            return Dictionary(
                uniqueKeysWithValues: changed.cells.map { ($0.column, $0.found.description) })
        }
        var found = try cells()
        #expect(found["on"] == "2021-11-07" && found["amount"] == "-1234.500")
        #expect(found["paid"] == "0.1" + String(repeating: "0", count: 37))
        // 0 and -0 are equal, and not the same.
        #expect(found["rate"] == "-0.0" && found["note"] == "a\n\"b\"")
        _ = try world.psql(
            """
            UPDATE t SET "on" = 'infinity', amount = 'NaN', rate = '-Infinity', note = NULL,
                tag = '00112233-4455-6677-8899-AABBCCDDEEFF' WHERE \(key)
            """)
        found = try cells()
        #expect(found["on"] == "infinity" && found["amount"] == "NaN")
        #expect(found["rate"] == "-Infinity")
        #expect(found["tag"] == "00112233-4455-6677-8899-aabbccddeeff")
        _ = try world.psql(#"UPDATE t SET "on" = '0044-03-15 BC', rate = 'NaN' WHERE \#(key)"#)
        found = try cells()
        #expect(found["on"] == "-0043-03-15" && found["rate"] == "NaN")
        #expect(try world.driftCheck().repair("t").done != nil)
        #expect(try world.drift("t").isEmpty)
    }

    @Test("Decimals and times are named as Postgres prints them")
    func texts() async throws {
        var generator = SeededGenerator()
        let world = try await history(&generator)
        // A copy without a checkpoint is compared with nothing, so that all its rows are extra.
        let table = try #require(world.catalog.table(named: "t"))
        let shape = RowLayout(table)
        let rows = TableRows(
            try PostgresConnection(.init(conninfo: world.conninfo)), from: "t", shape: shape)
        let found = try RowComparison(shape, hashKey: RowHashKey(low: 1, high: 2)).compare(
            HeldRows(), rows)
        #expect(found.extra.count == 300)
        let printed = try world.psql(
            """
            SET timezone = 'UTC';
            SELECT code, amount, paid, "on"::text, tag, to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
              FROM t WHERE at > '0001-01-02' ORDER BY ledger_position
            """
        ).split(separator: "\n").map { $0.split(separator: "|", omittingEmptySubsequences: false) }
        let names = ["code", "amount", "paid", "on", "tag", "at"]
        let places = try names.map { name in
            try #require(shape.columns.firstIndex { $0.name == name })
        }
        let byCode = Dictionary(
            uniqueKeysWithValues: found.extra.map { ($0.key[0].description, $0.values) })
        #expect(printed.count > 200)
        for line in printed {
            // The code of new rows has a bar in it.
            let code = line.dropLast(5).joined(separator: "|")
            let values = try #require(byCode[code])
            let texts = places.dropFirst().map { place -> String in
                values[place] == .null ? "" : values[place].description
            }
            let expected = line.suffix(5).map(String.init)
            #expect(Array(texts.dropLast()) == Array(expected.dropLast()))
            // The zeros at the end of a second are left out.
            let time = expected[4].replacing(/\.?0*Z$/, with: "Z")
            #expect(texts[4] == time)
        }
    }

    @Test("Random edits of random histories: what is found is what SQL finds, and is repaired")
    func randomEdits() async throws {
        var generator = SeededGenerator()
        let world = try await history(&generator)
        _ = try world.psql("CREATE TABLE sound AS TABLE t")
        for _ in 0..<12 {
            var edits: [String] = []
            for _ in 0..<Int.random(in: 0...8, using: &generator) {
                let position = Int.random(in: 0..<300, using: &generator)
                let other = Int.random(in: 0..<300, using: &generator)
                let whose = "WHERE ledger_position = \(position)"
                edits.append(
                    [
                        "DELETE FROM t \(whose)",
                        "UPDATE t SET note = 'edit' \(whose)",
                        "UPDATE t SET amount = amount + 0.001, ok = NOT ok \(whose)",
                        "UPDATE t SET code = code || '!' \(whose)",
                        "UPDATE t SET rate = s.rate, paid = s.paid FROM sound AS s"
                            + " WHERE t.ledger_position = \(position)"
                            + " AND s.ledger_position = \(other)",
                        "INSERT INTO t (code, at, \"on\", amount, ok, paid, ledger_position)"
                            + " SELECT 'new ' || clock_timestamp(), now(), now(), 1, true, 0,"
                            + " \(other)",
                    ].randomElement(using: &generator)!)
            }
            for edit in edits { _ = try world.psql(edit) }
            // By their texts, in which 0 and -0 are not the same.
            let expected = try world.psql(
                """
                SELECT count(*) FILTER (WHERE t.code IS NULL),
                       count(*) FILTER (WHERE s.code IS NULL),
                       count(*) FILTER (WHERE t.code IS NOT NULL AND s.code IS NOT NULL
                                              AND t::text <> s::text)
                  FROM t FULL JOIN sound AS s USING (code, at)
                """)
            let check = try world.driftCheck(memoryByteLimit: 20_000)
            let found = try check.check("t").differences
            #expect(
                found.counts.map(String.init).joined(separator: "|") == expected,
                "seed \(generator.seed), \(edits)")
            #expect(found.isEmpty == (expected == "0|0|0"))
            _ = try world.driftCheck().repair("t").done?.get()
            let left = try world.psql(
                """
                SELECT count(*) FROM t FULL JOIN sound AS s USING (code, at)
                 WHERE t::text IS DISTINCT FROM s::text
                """)
            #expect(left == "0", "seed \(generator.seed), \(edits)")
        }
    }
}

extension Int128 {
    /// The shortest two's complement, most significant byte first, as Avro has it.
    fileprivate var twosComplement: [UInt8] {
        var bytes = withUnsafeBytes(of: bigEndian) { Array($0) }
        while bytes.count > 1, bytes[0] == (bytes[1] < 0x80 ? 0 : 0xFF) { bytes.removeFirst() }
        return bytes
    }
}

extension ByteSink {
    /// A union of null and one type.
    fileprivate mutating func append<Value>(
        optional value: Value?, _ write: (inout ByteSink, Value) -> Void
    ) {
        append(long: value == nil ? 0 : 1)
        if let value { write(&self, value) }
    }
}
