import Avro
import DaybookIntake

/// An Avro object container file of anyone: two bytes of choices, then the file.
enum AvroTarget {
    static func run(_ input: inout FuzzInput) throws {
        let choice = input.byte()
        let judge = SampleTables.shared.judge(choice & 7)
        let piece = Int(input.byte()) + 1
        if choice & 0x80 != 0 {
            return try values(input.rest)
        }
        let check = try BatchCheck(judge)
        let whole = file(input.rest, judge, piece: .max)
        let pieces = file(input.rest, judge, piece: piece)
        for step in whole.steps { if let batch = step.batch { try check.run(batch) } }
        try Cutting.compare(whole.steps, pieces.steps)
        try require(
            whole.error?.description == pieces.error?.description,
            "\(whole.error?.description ?? "no error"), or in pieces "
                + "\(pieces.error?.description ?? "none")")
    }

    private struct Outcome {
        var steps: [IntakeStep] = []
        var error: FuzzFault?
    }

    /// The batches up to what cannot be read, and what that is.
    private static func file(
        _ bytes: UnsafeRawBufferPointer, _ judge: Judge, piece: Int
    ) -> Outcome {
        var outcome = Outcome()
        var decoder = AvroDecoder(judge: judge)
        do {
            _ = try Cutting.steps(of: bytes, piece: piece) { bytes, isLast in
                let step = try decoder.next(bytes, isLast: isLast, rowLimit: 5)
                if step.batch != nil { outcome.steps.append(step) }
                return step
            }
        } catch {
            outcome.error = FuzzFault("\(error)")
        }
        return outcome
    }

    /// All values as values, and written again.
    private static func values(_ bytes: UnsafeRawBufferPointer) throws {
        let limits = ContainerLimits()
        guard var reader = try? ContainerReader(Bytes(copying: bytes), limits: limits) else {
            return
        }
        let schema = reader.header.schema
        let decoder = ResolvingDecoder(schema)
        let skipper = AvroSkipper(schema)
        let encoder = AvroEncoder(schema)
        // A block may say that it has 2^40 values without bytes; nobody has to read them all.
        var valuesLeft = 4_096
        while let block = try? reader.nextBlock() {
            try block.bytes.withUnsafeBytes { bytes in
                var cursor = ByteCursor(bytes)
                for _ in 0..<block.count {
                    valuesLeft -= 1
                    guard valuesLeft > 0 else { return }
                    var skipped = cursor
                    guard let value = try? decoder.decode(&cursor) else { return }
                    try skipper.skip(&skipped)
                    try require(
                        skipped.remaining == cursor.remaining, "skipping is as long as reading")
                    let again = try encoder.encode(value)
                    let reread = try decoder.decode(again)
                    try require(
                        "\(reread)" == "\(value)", "a value is read as it was written")
                }
            }
        }
    }
}
