import Avro
import Testing

@testable import DaybookIntake

/// One row as it is sent, and the codes it gets, in order. No code: the row is a candidate.
struct Case: Sendable, CustomTestStringConvertible {
    let table: String
    let row: String
    let codes: [String]

    init(_ table: String, _ row: String, _ codes: String...) {
        self.table = table
        self.row = row
        self.codes = codes
    }

    var testDescription: String { "\(table): \(row.prefix(80))" }
}

@Suite("JSON rows and their codes")
struct JSONCaseTests {
    static let at = #""at":"2021-11-07T02:48:42Z""#
    static let ada = #""name":"Ada L",\#(at)"#
    static let date = #""booked":"2021-11-07""#
    static let key = #""bank":"B","number":1"#
    static let paid = #"\#(key),"amount":1,\#(date)"#
    static let digits = String(repeating: "9", count: 400)

    static let rows: [Case] = [
        Case("hires", #"{"id":1,"name":"Ada Lovelace",\#(at),"job":3}"#),
        Case("hires", #" { "job" : 3 , \#(at) , "name" : "Ada Lovelace" , "id" : 1 } "#),
        Case("hires", #"{"id":1,"name":"Ada Lovelace","hired_at":"2021-11-07T02:48:42Z","job":3}"#),
        Case("hires", #"{"\u0069d":1,"name":"A\u0064a\nLovelace",\#(at),"job":3}"#),
        Case(
            "hires",
            #"{"id":1,"name":"\ud83d\ude00 \u00e9","at":"2021-11-07T02\u003a48:42Z","job":3}"#),
        // No row at all.
        Case("hires", "3", "malformed_row"), Case("hires", "null", "malformed_row"),
        Case("hires", #""text""#, "malformed_row"), Case("hires", "[1]", "malformed_row"),
        Case("hires", #"{"id":"\x"}"#, "malformed_row"),
        Case("hires", #"{"id":[{"deep":"\u12g4"}]}"#, "malformed_row"),
        Case("hires", #"{"\q":1}"#, "malformed_row"),
        // Fields.
        Case(
            "hires", #"{"id":1,"name":"Ada Lovelace",\#(at),"job":3,"id":1}"#, "duplicate_field(id)"
        ),
        Case(
            "hires", #"{"id":1,"name":"Ada Lovelace",\#(at),"job":3,"hired_at":null}"#,
            "duplicate_field(at)"),
        Case(
            "hires", #"{"id":1,"name":"Ada Lovelace",\#(at),"job":3,"Job":3}"#,
            "unknown_field(Job)"),
        Case(
            "hires", #"{"id":1,"name":"Ada Lovelace",\#(at),"job":3,"\ud800":3}"#,
            #"unknown_field(\ud800)"#),
        Case(
            "hires", "{}", "missing_field(id)", "missing_field(name)", "missing_field(at)",
            "missing_field(job)"),
        Case(
            "hires", #"{"id":null,"name":"","at":"","job":null}"#, "missing_field(id)",
            "missing_field(name)", "missing_field(at)", "missing_field(job)"),
        Case("hires", #"{"id":"",\#(ada),"job":3}"#, "missing_field(id)"),
        // Types.
        Case("hires", #"{"id":"1",\#(ada),"job":3}"#, "wrong_type(id)"),
        Case(
            "hires", #"{"id":1.0,\#(ada),"job":1e2}"#, "wrong_type(id)",
            "wrong_type(job)"),
        Case(
            "hires", #"{"id":true,"name":7,"at":7,"job":{"a":[]}}"#,
            "wrong_type(id)", "wrong_type(name)", "wrong_type(at)", "wrong_type(job)"),
        Case("hires", #"{"id":1,"name":"Ada \u0000",\#(at),"job":3}"#, "wrong_type(name)"),
        Case("hires", #"{"id":1,"name":"Ada \udc00",\#(at),"job":3}"#, "wrong_type(name)"),
        Case("hires", #"{"id":1,"name":"Ada \ud800x",\#(at),"job":3}"#, "wrong_type(name)"),
        Case("hires", #"{"id":1,"name":"Ada \ud800\u0041",\#(at),"job":3}"#, "wrong_type(name)"),
        // Ranges.
        Case("hires", #"{"id":\#(digits),\#(ada),"job":3}"#, "out_of_range(id)"),
        Case(
            "hires", #"{"id":9223372036854775808,\#(ada),"job":3}"#,
            "out_of_range(id)"),
        Case("jobs", #"{"id":0,"job":"x"}"#, "out_of_range(id)"),
        Case("jobs", #"{"id":1000,"job":"x"}"#, "out_of_range(id)"),
        Case("jobs", #"{"id":999,"job":" "}"#),
        Case(
            "hires", #"{"id":1,"name":"Ada L","at":"0000-01-01T00:00:00Z","job":3}"#,
            "out_of_range(at)"),
        // Forms of their own.
        Case(
            "hires", #"{"id":1,"name":"Ada L","at":"2021-11-07T02:48:42","job":3}"#,
            "invalid_timestamp(at)"),
        Case(
            "hires", #"{"id":1,"name":"Ada L","at":"yesterday","job":"x"}"#,
            "wrong_type(job)", "invalid_timestamp(at)"),
        // Strings.
        Case(
            "hires", #"{"id":1,"name":"Ada Lovelace, Countess",\#(at),"job":3}"#, "too_long(name)"),
        Case("hires", #"{"id":1,"name":"\#(String(repeating: "é ", count: 9))éé",\#(at),"job":3}"#),
        Case("hires", #"{"id":1,"name":"Ada",\#(at),"job":3}"#, "pattern_mismatch(name)"),
        Case("hires", #"{"id":1,"name":" Ada L",\#(at),"job":3}"#, "pattern_mismatch(name)"),
        // Every reason, in the order of the codes and then of the columns.
        Case(
            "hires", #"{"name":"Ada","at":"x","job":1.5,"x":1,"x":2}"#,
            "unknown_field(x)", "unknown_field(x)", "missing_field(id)", "wrong_type(job)",
            "invalid_timestamp(at)", "pattern_mismatch(name)"),
        // Payments: defaults, optional columns, decimals as numbers or text.
        Case("payments", #"{\#(key),"amount":12.5,\#(date)}"#),
        Case(
            "payments",
            #"{\#(key),"amount":"12.50",\#(date),"due":"","rate":null,"settled":true}"#
        ),
        Case("payments", #"{\#(key),"amount":0,\#(date)}"#, "out_of_range(amount)"),
        Case(
            "payments", #"{\#(key),"amount":12.345,\#(date)}"#, "out_of_range(amount)"
        ),
        Case(
            "payments", #"{\#(key),"amount":1000000.01,\#(date)}"#,
            "out_of_range(amount)"),
        Case(
            "payments", #"{\#(key),"amount":\#(digits),\#(date)}"#,
            "out_of_range(amount)"),
        Case(
            "payments", #"{\#(key),"amount":1e2,\#(date)}"#, "invalid_decimal(amount)"
        ),
        Case("payments", #"{\#(key),"amount":true,\#(date)}"#, "wrong_type(amount)"),
        Case(
            "payments", #"{\#(key),"amount":1,"booked":"1999-12-31"}"#,
            "out_of_range(booked)"),
        Case(
            "payments", #"{\#(key),"amount":1,"booked":"2021-02-29"}"#,
            "invalid_date(booked)"),
        Case(
            "payments", #"{\#(paid),"reference":"x"}"#,
            "invalid_uuid(reference)"),
        Case(
            "payments", #"{\#(paid),"rate":2.6}"#,
            "out_of_range(rate)"),
        Case(
            "payments", #"{\#(paid),"rate":1e999}"#,
            "out_of_range(rate)"),
        Case(
            "payments", #"{\#(paid),"currency":"no"}"#,
            "not_allowed(currency)"),
        Case("payments", #"{\#(paid),"currency":"NO"}"#),
        Case(
            "payments", #"{\#(paid),"settled":"true"}"#,
            "wrong_type(settled)"),
        Case(
            "payments", #"{\#(paid),"due":"2021-11-06"}"#,
            "check_failed(booked)"),
        Case("payments", #"{\#(paid),"due":"2021-11-07"}"#),
        Case(
            "payments", #"{\#(paid),"due":"2021-11-31"}"#,
            "invalid_date(due)"),
        // Fields that a table ignores still have to be JSON.
        Case("readings", #"{"other":{"a":[1,{"b":null}]},"sensor":"s"}"#), Case("readings", "{}"),
        Case("readings", #"{"other":{"a":"\y"},"sensor":"s"}"#, "malformed_row"),
        Case("readings", #"{"note":"\"\\\/\b\f\n\r\t"}"#),
    ]

    @Test(
        "A row gets its codes in order, as JSON alone, in an array and as a line", arguments: rows)
    func codes(example: Case) throws {
        let judge = try makeJudge(example.table)
        let alone = judge.judgeJSON(Bytes(Array("[\(example.row)]".utf8)))
        #expect(alone.codes(0) == example.codes)
        let good = #"{"id":7}"#
        let among = judge.judgeJSON(Bytes(Array("[\(good),\(example.row)\n,\(good)]".utf8)))
        #expect(among.rows.count == 3)
        #expect(among.codes(1) == example.codes)
        #expect(among.codes(0) == among.codes(2))
        let line = judge.judgeNDJSON(Bytes(Array("\(good)\n\(example.row)\n\(good)".utf8)))
        #expect(line.codes(1) == example.codes)
        #expect(line.encodedBytes(1) == alone.encodedBytes(0))
        #expect(Array(line.slots(1)) == Array(alone.slots(0)))
        let trimmed = example.row.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
        #expect(alone.originalText(0) == String(trimmed))
        #expect(among.originalText(1) == String(trimmed))
        #expect(line.originalText(1) == String(trimmed))
    }

    @Test("A candidate has its branch number before it, a rejected row leaves no bytes")
    func encodedRuns() throws {
        let judge = try makeJudge("jobs")
        let body = #"[{"id":1,"job":"a"},{"id":0},{"id":2,"job":"b"}]"#
        let batch = judge.judgeJSON(Bytes(Array(body.utf8)))
        let branch = UInt8(judge.table.index * 2)
        #expect(
            batch.encoded.array(in: 0..<batch.encoded.count) == [
                branch, 2, 2, 0x61, branch, 4, 2, 0x62,
            ])
        #expect(batch.rows.map(\.encodedStart) == [1, 4, 5])
        #expect(batch.rows.map(\.encodedCount) == [3, 0, 3])
        #expect(batch.rows.map(\.isCandidate) == [true, false, true])
        #expect(batch.malformedByteCount == nil)
    }

    @Test("Reasons and their texts are limited, the most important kept")
    func limits() throws {
        let judge = try makeJudge("hires")
        let long = String(repeating: "é", count: 400)
        let unknown = (0..<40).map { "\"\(long)\($0)\":1" }.joined(separator: ",")
        let row = "{\(unknown),\"id\":1,\"id\":2,\"name\":\"\(long)\",\"at\":\"\(long)\"}"
        let batch = judge.judgeJSON(Bytes(Array(row.utf8)))
        #expect(batch.rows[0].reasonsCount == 16)
        #expect(batch.reasons.first?.code == .duplicateField)
        #expect(batch.reasons.dropFirst().allSatisfy { $0.code == .unknownField })
        for reason in batch.reasons {
            #expect((reason.column ?? "").utf8.count <= 256)
            #expect(reason.message.utf8.count <= 256 && !reason.message.isEmpty)
        }
        #expect(batch.reasons.last?.column?.hasSuffix("é…") == true)
    }

    @Test("Fault 28: a fault inside the judge is that row's alone, with the code internal")
    func internalFault() throws {
        struct Broken: Error {}
        let judge = try makeJudge("jobs", probe: { if $0[0] == 4 { throw Broken() } })
        let body = #"[{"id":1,"job":"a"},{"id":2,"job":"b"},{"id":3,"job":"c"}]"#
        let batch = judge.judgeJSON(Bytes(Array(body.utf8)))
        #expect([0, 1, 2].map(batch.codes) == [[], ["internal"], []])
        #expect(batch.slots.map(\.low) == [1, 0, 3])
        #expect(batch.encodedBytes(2) == [6, 2, 0x63])
    }
}
