import Avro
import DaybookIntake

/// A body or file of JSON from any client: two bytes of choices, then the text.
enum JSONTarget {
    static func run(_ input: inout FuzzInput) throws {
        let choice = input.byte()
        let judge = SampleTables.shared.judge(choice & 7)
        let check = try BatchCheck(judge)
        let piece = Int(input.byte()) + 1
        let body = Bytes(copying: input.rest)
        guard choice & 0x80 != 0 else {
            let batch = judge.judgeJSON(body)
            try check.run(batch)
            return try alone(batch, judge)
        }
        let batch = judge.judgeNDJSON(body)
        try check.run(batch)
        try alone(batch, judge)
        let whole = try file(input.rest, judge, piece: .max)
        for step in whole { if let batch = step.batch { try check.run(batch) } }
        try Cutting.compare(whole, try file(input.rest, judge, piece: piece))
    }

    private static func file(
        _ bytes: UnsafeRawBufferPointer, _ judge: Judge, piece: Int
    ) throws -> [IntakeStep] {
        var decoder = NDJSONDecoder(judge: judge)
        return try Cutting.steps(of: bytes, piece: piece) { bytes, isLast in
            decoder.next(bytes, isLast: isLast, rowLimit: 5)
        }
    }

    /// A row has the verdict that it has by itself, whatever stands beside it.
    private static func alone(_ batch: JudgedBatch, _ judge: Judge) throws {
        guard batch.malformedByteCount == nil else { return }
        for number in batch.rows.indices.prefix(4) {
            let row = batch.rows[number]
            let first = Int(row.reasonsStart)
            let reasons = Array(batch.reasons[first..<(first + Int(row.reasonsCount))])
            // What is no JSON object cannot be a body of its own.
            if reasons.first?.code == .malformedRow { continue }
            let single = judge.judgeJSON(Bytes(batch.raw(ofRow: number)))
            try require(
                single.rows.count == 1 && single.reasons == reasons,
                "a row alone is refused for \(single.reasons), beside others for \(reasons)")
            let start = Int(row.encodedStart)
            try require(
                batch.encoded.array(in: start..<(start + Int(row.encodedCount)))
                    == single.encoded.array(
                        in: Int(single.rows[0].encodedStart)..<single.encoded.count)
                    || !row.isCandidate,
                "a row alone has the same bytes as beside others")
        }
    }
}
