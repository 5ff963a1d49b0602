import Avro
import DaybookCatalog
import DaybookIntake

/// What holds of a judged batch whatever it was made from.
struct BatchCheck {
    private let judge: Judge
    private let schema: AvroSchema

    init(_ judge: Judge) throws {
        self.judge = judge
        schema = try AvroSchema(json: judge.table.avroSchema)
    }

    /// Every row is accepted or rejected, with what belongs to it; what is accepted can be read,
    /// and is accepted again when it comes as an Avro file.
    func run(_ batch: JudgedBatch) throws {
        try require(!batch.rows.isEmpty, "a batch has a row")
        try require(
            batch.slots.count == batch.rows.count * judge.table.slots.count,
            "every row has a slot for every rule")
        var encodedEnd = 0
        var reasonsEnd = 0
        var accepted: [[UInt8]] = []
        var rejectedCount = 0
        for (number, row) in batch.rows.enumerated() {
            try require(
                Int(row.originalStart) + Int(row.originalCount) <= batch.original.count,
                "a row's original lies within the batch's")
            if row.isCandidate {
                accepted.append(try accept(row, of: batch, after: encodedEnd))
                encodedEnd = Int(row.encodedStart) + Int(row.encodedCount)
            } else {
                rejectedCount += 1
                try reject(row, of: batch, after: reasonsEnd)
                reasonsEnd += Int(row.reasonsCount)
                _ = batch.raw(ofRow: number)
            }
        }
        try require(encodedEnd == batch.encoded.count, "no byte belongs to no row")
        try require(reasonsEnd == batch.reasons.count, "no reason belongs to no row")
        try require(
            accepted.count + rejectedCount == batch.rows.count, "rows are accepted or rejected")
        let (start, byteCount) = batch.rawStart(byteCountMax: 64)
        try require(start.count <= 64 && start.count <= byteCount, "a raw start has its limit")
        try acceptAgain(accepted)
    }

    private func accept(
        _ row: JudgedRow, of batch: JudgedBatch, after end: Int
    ) throws -> [UInt8] {
        let start = Int(row.encodedStart)
        let range = start..<(start + Int(row.encodedCount))
        try require(
            start > end && range.upperBound <= batch.encoded.count,
            "an accepted row's bytes follow its branch number")
        try batch.encoded.withUnsafeBytes(in: end..<start) { bytes in
            var cursor = ByteCursor(bytes)
            let branch = try cursor.readLong()
            try require(
                branch == judge.table.index && cursor.isAtEnd,
                "before a row stands the number of its table")
        }
        let encoded = batch.encoded.array(in: range)
        let value = try ResolvingDecoder(schema).decode(Bytes(encoded))
        let again = try AvroEncoder(schema).encode(value)
        try require(
            again.unsafeBytes.elementsEqual(encoded), "an accepted row is encoded in one way")
        return encoded
    }

    private func reject(_ row: JudgedRow, of batch: JudgedBatch, after end: Int) throws {
        try require(row.encodedCount == 0, "a rejected row is not encoded")
        try require(Int(row.reasonsStart) == end, "reasons stand row by row")
        let count = Int(row.reasonsCount)
        try require(
            (1...IntakeLimits.reasonCount).contains(count) && end + count <= batch.reasons.count,
            "a rejected row has 1 to 16 reasons")
        let reasons = batch.reasons[end..<(end + count)]
        for (one, other) in zip(reasons, reasons.dropFirst()) {
            try require(!(other.code < one.code), "reasons stand in order of precedence")
        }
        for reason in reasons {
            try require(!reason.message.isEmpty, "a reason says something")
            try require(
                reason.message.utf8.count <= IntakeLimits.reasonByteCount
                    && (reason.column?.utf8.count ?? 0) <= IntakeLimits.reasonByteCount,
                "a reason's texts have their limit")
        }
    }

    /// The rows as a program that reads our tables would send them back.
    private func acceptAgain(_ rows: [[UInt8]]) throws {
        guard !rows.isEmpty else { return }
        var file = ByteSink()
        let header = ContainerHeader(
            schema: schema, codec: .null, syncMarker: SyncMarker([UInt8](1...16)))
        var pieces: [[UInt8]] = []
        withUnsafeMutablePointer(to: &pieces) { pieces in
            var writer = ContainerWriter(header: header) { pieces.pointee.append(Array($0)) }
            for row in rows { row.withUnsafeBytes { writer.append(encoded: $0) } }
            writer.finish()
        }
        for piece in pieces { file.append(raw: piece) }
        var decoder = AvroDecoder(judge: judge)
        let steps = try Cutting.steps(of: file.unsafeBytes, piece: .max) { bytes, isLast in
            try decoder.next(bytes, isLast: isLast, rowLimit: 1_000)
        }
        var again: [[UInt8]] = []
        for step in steps {
            guard let batch = step.batch else { continue }
            for row in batch.rows {
                try require(
                    row.isCandidate,
                    "what was accepted is accepted again, not refused because "
                        + "\(batch.reasons.first?.message ?? "")")
                let start = Int(row.encodedStart)
                again.append(batch.encoded.array(in: start..<(start + Int(row.encodedCount))))
            }
        }
        try require(again == rows, "what was accepted comes back as the same bytes")
    }
}

/// Runs a decoder over a file that comes in pieces.
enum Cutting {
    /// All steps that gave a batch, in order.
    static func steps(
        of bytes: UnsafeRawBufferPointer, piece: Int,
        _ next: (UnsafeRawBufferPointer, _ isLast: Bool) throws -> IntakeStep
    ) throws -> [IntakeStep] {
        var steps: [IntakeStep] = []
        var start = 0
        var end = 0
        while true {
            let isLast = end == bytes.count
            let step = try next(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), isLast)
            try require(
                step.consumedByteCount >= 0 && step.consumedByteCount <= end - start,
                "a step takes bytes that it was shown")
            start += step.consumedByteCount
            if let batch = step.batch {
                steps.append(step)
                try require(!batch.rows.isEmpty, "a batch has a row")
                try require(steps.count <= bytes.count, "a step takes something")
            } else if isLast {
                try require(start == bytes.count, "all of the file is taken")
                return steps
            } else {
                end = piece < bytes.count - end ? end + max(1, piece) : bytes.count
            }
        }
    }

    /// Fails unless two ways of showing a file gave the same batches.
    static func compare(_ one: [IntakeStep], _ other: [IntakeStep]) throws {
        try require(one.count == other.count, "\(one.count) batches, or \(other.count) in pieces")
        for (left, right) in zip(one, other) {
            guard let leftBatch = left.batch, let rightBatch = right.batch else { continue }
            try require(
                left.firstLine == right.firstLine, "batches begin in the same line in pieces")
            try require(
                summary(leftBatch) == summary(rightBatch), "batches are the same in pieces")
        }
    }

    /// All that is decided about a batch.
    static func summary(_ batch: JudgedBatch) -> [String] {
        batch.rows.indices.map { number in
            let row = batch.rows[number]
            let reasons = batch.reasons[
                Int(row.reasonsStart)..<(Int(row.reasonsStart) + Int(row.reasonsCount))]
            let start = Int(row.encodedStart)
            let encoded = batch.encoded.array(in: start..<(start + Int(row.encodedCount)))
            return "\(batch.raw(ofRow: number)) \(encoded) \(Array(reasons)) \(row.lineSkip)"
        }
    }
}
