import Avro
import Testing

@testable import DaybookIntake

@Suite("CSV rows")
struct CSVTests {
    static let rows: [Case] = [
        Case("hires", "1,Ada Lovelace,2021-11-07T02:48:42Z,3"),
        Case("hires", " 1 ,Ada Lovelace,\t2021-11-07T02:48:42Z , 3\t"),
        Case("hires", "\"1\",\"Ada Lovelace\",\" 2021-11-07T02:48:42Z\",\"3\""),
        Case("hires", "1,Ada \"the\" L,2021-11-07T02:48:42Z,3"),
        Case("hires", "1,\"Ada \"\"L\"\"\n,é\",2021-11-07T02:48:42Z,3"),
        Case("hires", "1,\"Ada L\"x,2021-11-07T02:48:42Z,3", "malformed_row"),
        Case("hires", "1,\"Ada L\" ,2021-11-07T02:48:42Z,3", "malformed_row"),
        Case("hires", "1,Ada L,2021-11-07T02:48:42Z,\"3", "malformed_row"),
        Case("hires", "1,Ada L,2021-11-07T02:48:42Z", "wrong_field_count"),
        Case("hires", "1,Ada L,2021-11-07T02:48:42Z,3,", "wrong_field_count"),
        Case("hires", "1", "wrong_field_count"), Case("hires", " ", "wrong_field_count"),
        Case("hires", "1,,2021-11-07T02:48:42Z,", "missing_field(name)", "missing_field(job)"),
        Case(
            "hires", " ,\"\",\" \",", "missing_field(id)", "missing_field(name)",
            "missing_field(at)", "missing_field(job)"),
        Case("hires", "x,Ada L,2021-11-07T02:48:42Z,1.0", "wrong_type(id)", "wrong_type(job)"),
        Case("hires", "1,Ada L,7/11/2021,3", "invalid_timestamp(at)"),
        Case("hires", "1,Ada\u{0}L x,2021-11-07T02:48:42Z,3", "wrong_type(name)"),
        Case("hires", "1,  ,2021-11-07T02:48:42Z,3", "pattern_mismatch(name)"),
        Case("hires", "1,éééééééééééééééééé é,2021-11-07T02:48:42Z,3"),
        Case("hires", "1,éééééééééééééééééééé é,2021-11-07T02:48:42Z,3", "too_long(name)"),
        Case("payments", "B,1,,12.50,,2021-11-07,,,"),
        Case("payments", "B,1,,12.50,USD,2021-11-07,2021-11-08,0.5,true"),
        Case(
            "payments", "B,1,,12.505,usd,2021-11-07,2021-11-06,2.51,yes",
            "wrong_type(settled)", "out_of_range(amount)", "out_of_range(rate)",
            "not_allowed(currency)", "check_failed(booked)"),
        Case(
            "payments", ",1,x,1e2,EUR,07.11.2021,,,", "missing_field(bank)",
            "invalid_date(booked)", "invalid_decimal(amount)", "invalid_uuid(reference)"),
        Case("readings", ",,"), Case("readings", " a , b,c "),
    ]

    @Test("A row gets its codes in order, with LF, with CRLF and at the end", arguments: rows)
    func codes(example: Case) throws {
        let judge = try makeJudge(example.table)
        let good = Array(repeating: "", count: judge.table.columns.count).joined(separator: ",")
        for line in ["\n", "\r\n"] {
            let alone = try judge.judgeCSV(Bytes(Array(example.row.utf8)), header: .absent)
            #expect(alone.codes(0) == example.codes)
            let body = good + line + example.row + line
            let among = try judge.judgeCSV(Bytes(Array(body.utf8)), header: .absent)
            #expect(among.codes(1) == example.codes)
            #expect(among.originalText(1) == example.row)
            #expect(among.encodedBytes(1) == alone.encodedBytes(0))
            #expect(Array(among.slots(1)) == Array(alone.slots(0)))
        }
    }

    @Test("Spaces are kept in strings; quotes and line ends inside fields are theirs")
    func strings() throws {
        let body = "\u{FEFF} a ,\"b\"\"c\",\"d\r\ne\"\r\n"
        let batch = try makeJudge("readings").judgeCSV(Bytes(Array(body.utf8)), header: .absent)
        #expect(
            batch.encodedBytes(0) == [2, 6] + Array(" a ".utf8) + [2, 6] + Array("b\"c".utf8)
                + [2, 8] + Array("d\r\ne".utf8))
        #expect(batch.originalText(0) == " a ,\"b\"\"c\",\"d\r\ne\"")
    }

    @Test("Rows know their lines, across blank lines and line ends in quotes")
    func lines() throws {
        let body = "\n\r\na,b,c\n\n\n\"d\n\n\",e,f\ng,h,i\nj\n\n"
        let batch = try makeJudge("readings").judgeCSV(Bytes(Array(body.utf8)), header: .absent)
        #expect(batch.rows.map(\.lineSkip) == [2, 2, 2, 0])
        let texts = batch.rows.indices.map(batch.originalText)
        #expect(texts == ["a,b,c", "\"d\n\n\",e,f", "g,h,i", "j"])
        let header = "\nnote,sensor,place\n\na,b,c\n"
        let judge = try makeJudge("readings")
        let named = try judge.judgeCSV(Bytes(Array(header.utf8)), header: .present)
        #expect(named.rows.map(\.lineSkip) == [3])
        #expect(named.encodedBytes(0) == [2, 2, 0x62, 2, 2, 0x61, 2, 2, 0x63])
    }

    @Test("A quote that does not close spoils its own line only")
    func openQuote() throws {
        let body = "a,\"b,c\nd,e,f\ng,h,i\n"
        let batch = try makeJudge("readings").judgeCSV(Bytes(Array(body.utf8)), header: .absent)
        #expect([0, 1, 2].map(batch.codes) == [["malformed_row"], [], []])
        #expect(batch.originalText(0) == "a,\"b,c")
        #expect(batch.rows.map(\.lineSkip) == [0, 0, 0])
    }

    @Test("Text that is not UTF-8 is refused, and its bytes are kept")
    func notUTF8() throws {
        let body: [UInt8] = Array("a,b".utf8) + [0xFF] + Array(",c\nd,e,f".utf8)
        let batch = try makeJudge("readings").judgeCSV(Bytes(body), header: .absent)
        #expect([0, 1].map(batch.codes) == [["wrong_type(note)"], []])
        #expect(batch.originalBytes(0) == Array(body.prefix(6)))
    }

    @Test("A header maps names and aliases; what it should not have is an error")
    func headers() throws {
        let judge = try makeJudge("hires")
        func codes(_ body: String, _ header: CSVHeader) throws(IntakeError) -> [String] {
            try judge.judgeCSV(Bytes(Array(body.utf8)), header: header).codes(0)
        }
        let row = "3,2021-11-07T02:48:42Z,Ada L,1\n"
        #expect(try codes("job, hired_at ,\"name\",id\r\n" + row, .present) == [])
        #expect(try codes(row, .columns(["job", "at", "name", "id"])) == [])
        #expect(
            try codes("job,id\n3,1\n", .present) == ["missing_field(name)", "missing_field(at)"])
        #expect(try codes("job,id\n3\n", .present) == ["wrong_field_count"])
        #expect(throws: IntakeError.unknownColumn("wage", known: ["id", "name", "at", "job"])) {
            try codes("id,name,at,wage\n", .present)
        }
        #expect(throws: IntakeError.repeatedColumn("hired_at")) {
            try codes("id,name,at,hired_at\n", .present)
        }
        #expect(throws: IntakeError.unannouncedHeader) {
            try codes("id,name,at,job\n" + row, .absent)
        }
        #expect(throws: IntakeError.unannouncedHeader) { try codes("job,id,at,name\n", .absent) }
        #expect(throws: IntakeError.malformedHeader) { try codes("id,\"name", .present) }
        #expect(throws: IntakeError.unknownColumn("x", known: ["id", "name", "at", "job"])) {
            try codes(row, .columns(["x"]))
        }
        #expect(try codes("id,name,at,job\n", .present) == ["malformed_batch"])
        #expect(try codes("", .absent) == ["malformed_batch"])
    }

    @Test("A row over the limit is cut, and its rest never passes for rows")
    func longRow() throws {
        let limits = IntakeLimits(rowByteCount: 16, batchByteCount: 64)
        let judge = try makeJudge("readings", limits: limits)
        let body = "a,b,c\n\(String(repeating: "x", count: 40)),d,e\nf,g,h\n"
        let steps = try decode(judge, Array(body.utf8), readByteCount: 1_000, rowLimit: 100)
        #expect(steps.map(\.firstLine) == [1, 2, 2])
        let rows = steps.compactMap(\.batch).flatMap { batch in
            batch.rows.indices.map { (batch.originalText($0), batch.codes($0)) }
        }
        let x = { String(repeating: "x", count: $0) }
        #expect(rows.map(\.0) == ["a,b,c", x(16), x(16), x(8) + ",d,e", "f,g,h"])
        let cut = ["malformed_row"]
        #expect(rows.map(\.1) == [[], cut, cut, cut, []])
    }
}

/// What a decoder makes of a file that is read `readByteCount` bytes at a time.
func decode(
    _ judge: Judge, _ file: [UInt8], readByteCount: Int, rowLimit: Int,
    header: CSVHeader = .absent
) throws -> [IntakeStep] {
    var decoder = try CSVDecoder(judge: judge, header: header)
    return try steps(file, readByteCount: readByteCount) { buffer, isLast in
        try decoder.next(buffer, isLast: isLast, rowLimit: rowLimit)
    }
}

/// Feeds a decoder as an importer does; the steps that made batches.
func steps(
    _ file: [UInt8], readByteCount: Int,
    _ next: (UnsafeRawBufferPointer, Bool) throws -> IntakeStep
) throws -> [IntakeStep] {
    var steps: [IntakeStep] = []
    var place = 0
    var end = min(readByteCount, file.count)
    while place < file.count {
        let isLast = end == file.count
        let step = try file[place..<end].withUnsafeBytes { try next($0, isLast) }
        place += step.consumedByteCount
        if step.batch != nil { steps.append(step) }
        if step.batch == nil && step.consumedByteCount == 0 {
            try #require(!isLast, "a decoder goes on to the file's end")
            end = min(file.count, end + readByteCount)
        }
    }
    return steps
}
