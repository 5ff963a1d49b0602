import Avro
import DaybookCatalog
import Foundation
import TestSupport
import Testing

@testable import DaybookIntake

/// Python's json, csv and fastavro against the same bytes.
@Suite("Intake agrees with Python")
struct OracleTests {
    @Test("JSON bodies are accepted exactly if Python's json accepts them")
    func jsonAcceptance() throws {
        // The documented difference: a false escape in a string is its row's fault, not the body's.
        // Python's NaN and Infinity are no JSON; its integers end at 4300 digits, ours do not.
        let script = """
            import sys, json
            def refuse(name): raise ValueError(name)
            for line in sys.stdin.read().split("\\n"):
                try:
                    body = json.loads(bytes.fromhex(line).decode(), parse_constant=refuse)
                    rows = body if isinstance(body, list) else [body]
                    is_batch = isinstance(body, dict) or isinstance(body, list) and 0 < len(body)
                    print(len(rows) if is_batch else 0)
                except ValueError: print(0)
            """
        var generator = SeededGenerator()
        let bodies = (0..<6_000).map { _ in mutatedBody(&generator) }
        let judge = try makeJudge("readings")
        var accepted = 0
        for (body, answer) in zip(bodies, try python(script, bodies.map { hexadecimal($0) })) {
            let batch = judge.judgeJSON(Bytes(body))
            let isBatch = batch.malformedByteCount == nil
            let escapes = batch.reasons.contains { $0.message.contains("escape") }
            let rowCount = Int(answer) ?? -1
            let agrees =
                isBatch
                ? rowCount == batch.rows.count || (rowCount == 0 && escapes)
                : rowCount == 0
            let text = String(decoding: body, as: UTF8.self)
            #expect(agrees, "\(text): Python \(answer), seed \(generator.seed)")
            accepted += isBatch ? 1 : 0
        }
        #expect(accepted > 500 && accepted < 5_500, "seed \(generator.seed)")
    }

    private func mutatedBody(_ generator: inout SeededGenerator) -> [UInt8] {
        let seeds = [
            #"[{"note":"a\u00e9\n","x":[1,-2.5e3,{"y":null}]},{"place":"","z":true}]"#,
            #"{"sensor":"\"q\"","a":{"b":[[],{},[{}]]},"c":0.1,"d":false}"#,
            #" [ { "n" : 0 } , { } , { "m" : [ "é" , "😀" ] } ] "#,
        ]
        let pieces: [[UInt8]] =
            [
                "{", "}", "[", "]", "\"", ",", ":", "\\", "0", "-", ".", "e", "1", "true", "nul",
                " ",
                "\n", "{}", "[]", "\"a\"", "\\u12", "é", "null", "NaN", "/",
            ].map { Array($0.utf8) } + [[0x00], [0xFF], [0x80], [0x1F], [0x7F]]
        var body = Array(seeds.randomElement(using: &generator)!.utf8)
        for _ in 0..<Int.random(in: 0...3, using: &generator) where !body.isEmpty {
            let place = Int.random(in: 0..<body.count, using: &generator)
            let piece = pieces.randomElement(using: &generator)!
            let end = min(body.count, place + Int.random(in: 0...2, using: &generator))
            body.replaceSubrange(place..<end, with: piece)
        }
        return body
    }

    @Test("CSV files have the rows and fields that Python's csv module finds")
    func csvFields() throws {
        let script = """
            import sys, csv, io, json
            for line in sys.stdin.read().split("\\n"):
                text = bytes.fromhex(line).decode("utf-8-sig")
                print(json.dumps(list(csv.reader(io.StringIO(text, newline=""), strict=True))))
            """
        var generator = SeededGenerator()
        let files = (0..<400).map { _ in csvFile(&generator) }
        let judge = try makeJudge("readings")
        for (file, answer) in zip(files, try python(script, files.map { hexadecimal($0) })) {
            let all = try JSONDecoder().decode([[String]].self, from: Data(answer.utf8))
            let expected = all.filter { !$0.isEmpty }
            let steps = try decode(
                judge, file, readByteCount: Int.random(in: 1...60, using: &generator),
                rowLimit: Int.random(in: 1...5, using: &generator))
            let rows = try steps.compactMap(\.batch).flatMap { try fields($0) }
            #expect(
                rows == expected.map { $0.count == 3 ? $0 : ["wrong_field_count"] },
                "\(String(decoding: file, as: UTF8.self)), seed \(generator.seed)")
        }
    }

    /// The strings of a batch of readings; a rejected row has its codes.
    private func fields(_ batch: JudgedBatch) throws -> [[String]] {
        try batch.rows.indices.map { row in
            guard batch.rows[row].isCandidate else { return batch.codes(row) }
            return try batch.encodedBytes(row).withUnsafeBytes { bytes in
                var cursor = ByteCursor(bytes)
                return try (0..<3).map { _ in
                    try cursor.readLong() == 0 ? "" : try cursor.readString()
                }
            }
        }
    }

    private func csvFile(_ generator: inout SeededGenerator) -> [UInt8] {
        let words = ["", "a", "b c", " d ", "é", "x\"y", "1", "long enough for two words"]
        let quoted = ["", "a", ",", "\"\"", "\r\n", "\n\n", "é,\"\"\n", " q "]
        var text = Bool.random(using: &generator) ? "\u{FEFF}" : ""
        for _ in 0..<Int.random(in: 1...12, using: &generator) {
            let count = [3, 3, 3, 3, 0, 1, 2, 4, 7].randomElement(using: &generator)!
            let fields = (0..<count).map { _ in
                Bool.random(using: &generator)
                    ? words.randomElement(using: &generator)!
                    : "\"\(quoted.randomElement(using: &generator)!)\""
            }
            text += fields.joined(separator: ",")
            text += Bool.random(using: &generator) ? "\n" : "\r\n"
        }
        if Bool.random(using: &generator) { text.removeLast() }
        return Array(text.utf8)
    }

    @Test("Batches are cut by the file's bytes, however it is read, and no byte is lost")
    func cuts() throws {
        var generator = SeededGenerator()
        let limits = IntakeLimits(rowByteCount: 40, batchByteCount: 90)
        let judge = try makeJudge("readings", limits: limits)
        let letters = Array("\",\"\n\r\nab,,\n\" \u{7F}".utf8)
        for _ in 0..<300 {
            let file = (0..<Int.random(in: 0...400, using: &generator)).map { _ in
                letters.randomElement(using: &generator)!
            }
            let rowLimit = Int.random(in: 1...6, using: &generator)
            let whole = try decode(judge, file, readByteCount: 1_000, rowLimit: rowLimit)
            let parts = try decode(
                judge, file, readByteCount: Int.random(in: 1...50, using: &generator),
                rowLimit: rowLimit)
            let summary = { (steps: [IntakeStep]) in
                steps.map { "\($0.firstLine) \($0.batch?.summary ?? [])" }
            }
            #expect(summary(whole) == summary(parts), "seed \(generator.seed)")
            // What is in no row is line ends.
            var rest = file[...]
            for batch in whole.compactMap(\.batch) {
                for row in batch.rows.indices {
                    let bytes = batch.originalBytes(row)
                    let place = rest.indices.first { rest[$0...].starts(with: bytes) }
                    let start = try #require(place, "seed \(generator.seed)")
                    #expect(rest[..<start].allSatisfy { $0 == 0x0A || $0 == 0x0D })
                    rest = rest[(start + bytes.count)...]
                }
            }
            #expect(rest.allSatisfy { $0 == 0x0A || $0 == 0x0D }, "seed \(generator.seed)")
        }
    }

    @Test("Lines of JSON are cut by the file's bytes too")
    func lineCuts() throws {
        var generator = SeededGenerator()
        let limits = IntakeLimits(rowByteCount: 40, batchByteCount: 90)
        let judge = try makeJudge("readings", limits: limits)
        let pieces = ["{\"note\":\"a\"}", "\n", "\n\n", " \r\n", "\"", "{}\n", "x", "[1]"]
        for _ in 0..<200 {
            let text = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                pieces.randomElement(using: &generator)!
            }
            let file = Array(text.joined().utf8)
            let rowLimit = Int.random(in: 1...6, using: &generator)
            let runs = try [1_000, Int.random(in: 1...50, using: &generator)].map { count in
                var decoder = NDJSONDecoder(judge: judge)
                return try steps(file, readByteCount: count) {
                    decoder.next($0, isLast: $1, rowLimit: rowLimit)
                }.map { "\($0.firstLine) \($0.batch?.summary ?? [])" }
            }
            #expect(runs[0] == runs[1], "seed \(generator.seed)")
        }
    }

    @Test("fastavro reads from a row's bytes the values that were sent")
    func fastavroReads() throws {
        let script = """
            import sys, json, io, fastavro
            from datetime import *
            from decimal import Decimal
            from uuid import UUID
            lines = sys.stdin.read().split("\\n")
            schema = fastavro.parse_schema(json.loads(lines[0]))
            for line in lines[1:]:
                sent, encoded = line.split("\\t")
                stream = io.BytesIO(bytes.fromhex(encoded))
                row = fastavro.schemaless_reader(stream, schema)
                assert not stream.read(), line
                sent = json.loads(sent)
                want = {
                    "bank": sent["bank"], "number": sent["number"],
                    "reference": UUID(sent["reference"]) if sent.get("reference") else None,
                    "amount": Decimal(sent["amount"]),
                    "currency": sent.get("currency") or "EUR",
                    "booked": date.fromisoformat(sent["booked"]),
                    "due": date.fromisoformat(sent["due"]) if sent.get("due") else None,
                    "rate": sent.get("rate"), "settled": sent.get("settled", False),
                }
                print("same" if row == want else f"{row} for {want}")
            """
        var generator = SeededGenerator()
        let rows = (0..<1_500).map { _ in payment(&generator) }
        let judge = try makeJudge("payments")
        let batches = stride(from: 0, to: rows.count, by: 500).map { start in
            let body = "[\(rows[start..<(start + 500)].joined(separator: ","))]"
            return judge.judgeJSON(Bytes(Array(body.utf8)))
        }
        let lines = batches.flatMap { batch in
            batch.rows.indices.map { row in
                #expect(
                    batch.codes(row) == [], "\(batch.originalText(row)), seed \(generator.seed)")
                return "\(batch.originalText(row))\t\(hexadecimal(batch.encodedBytes(row)))"
            }
        }
        let answers = try python(script, [judge.table.avroSchema] + lines)
        #expect(answers.count == rows.count)
        #expect(Set(answers) == ["same"], "seed \(generator.seed)")
    }

    private func payment(_ generator: inout SeededGenerator) -> String {
        let banks = ["B", "é", "\\u00e9\\n", "a \\\"b\\\"", "漢字", "\\ud83d\\ude00"]
        let cents =
            Int.random(in: 1...100_000_000, using: &generator)
            >> Int.random(in: 0...26, using: &generator)
        let digits = String(max(cents, 1) + 1_000).dropFirst()
        let whole = (max(cents, 1) + 1_000) / 100 - 10
        let number = Int64.random(in: .min ... .max, using: &generator)
        let shift = Int64.random(in: 0...63, using: &generator)
        var fields = [
            "\"bank\":\"\(banks.randomElement(using: &generator)!)\"",
            "\"number\":\(number >> shift)",
            "\"amount\":\"\(whole).\(digits.suffix(2))\"",
            "\"booked\":\"20\(Int.random(in: 10...99, using: &generator))-02-28\"",
        ]
        if Bool.random(using: &generator) {
            fields.append("\"rate\":\(Double.random(in: -1e9...2.5, using: &generator))")
        }
        if Bool.random(using: &generator) { fields.append("\"settled\":true") }
        if Bool.random(using: &generator) { fields.append("\"due\":\"9999-12-31\"") }
        if Bool.random(using: &generator) { fields.append("\"currency\":\"USD\"") }
        if Bool.random(using: &generator) {
            fields.append("\"reference\":\"\(UUID().uuidString)\"")
        }
        return "{\(fields.shuffled(using: &generator).joined(separator: ","))}"
    }
}
