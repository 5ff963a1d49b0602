import Avro
import DaybookCatalog

/// Cuts an Avro object container file into judged batches, as its bytes come.
///
/// Source: Apache Avro 1.11 specification, "Object Container Files" and "Schema Resolution". Fields
/// belong to columns by name or alias; what the table does not have is passed over.
public struct AvroDecoder: ~Copyable {
    private let judge: Judge
    private var container = ContainerDecoder()
    private var plan: AvroRowPlan?
    /// The block whose rows are being judged, the place of its next row, and how many are left.
    private var block: (bytes: Bytes, offset: Int)?
    private var place = 0
    private var rowsLeft = 0
    private var builder: BatchBuilder
    /// The rows of the open batch as they stand in the file, and what they count.
    private var original = ByteSink(capacity: 1 << 16)
    private var weight = 0
    /// Rows in the batches so far.
    private var rowCount: Int64 = 0
    private let places: UnsafeMutablePointer<AvroPlace>

    /// How many bytes of the file have to be shown before there is a step to be made; what was
    /// consumed does not count.
    public private(set) var wantedByteCount = 0

    /// A decoder for rows of the judge's table.
    public init(judge: Judge) {
        self.judge = judge
        builder = Self.builder(judge)
        let count = judge.plan.columns.count
        places = .allocate(capacity: count)
        // The place of a column that the file does not have stays as it is here: a null.
        places.initialize(repeating: AvroPlace(), count: count)
    }

    deinit { places.deallocate() }

    private static func builder(_ judge: Judge) -> BatchBuilder {
        BatchBuilder(
            plan: judge.plan, probe: judge.probe, rowCount: 1_024, byteCount: 1 << 16,
            isFromAvro: true)
    }

    /// Judges at most `rowLimit` rows. `buffer` begins where the last step ended. A batch has
    /// exactly that many rows, or as many as fit the limit of a batch's bytes, or all there are
    /// when `isLast` says that the file ends with the buffer. Its `firstLine` is the number of its
    /// first row in the file, from 1.
    ///
    /// Rows of a block that was consumed may be left: then `wantedByteCount` is 0, and the next
    /// step needs no more bytes.
    ///
    /// Throws `notAvro` and `unusableFile` before the first batch, and `damaged`.
    public mutating func next(
        _ buffer: UnsafeRawBufferPointer, isLast: Bool, rowLimit: Int
    ) throws(IntakeError) -> IntakeStep {
        precondition(rowLimit > 0, "a batch has at least one row")
        wantedByteCount = 0
        var consumed = 0
        while true {
            if let batch = try judgeRows(rowLimit) { return step(batch, consumed) }
            let rest = UnsafeRawBufferPointer(rebasing: buffer[consumed...])
            switch try read(rest, isLast) {
            case .header(let header, let byteCount):
                plan = try AvroRowPlan(header.schema, table: judge.table)
                consumed += byteCount
            case .block(let block, let byteCount):
                try open(block)
                consumed += byteCount
            case .wants(let byteCount):
                wantedByteCount = byteCount
                return step(nil, consumed)
            case .end:
                return step(builder.rowCount > 0 ? cut() : nil, consumed)
            }
        }
    }

    private mutating func read(
        _ bytes: UnsafeRawBufferPointer, _ isLast: Bool
    ) throws(IntakeError) -> ContainerDecoder.Step {
        do {
            return try container.next(bytes, isLast: isLast)
        } catch {
            let isStub = plan == nil && bytes.count < ContainerHeader.magic.count
            throw isStub ? .notAvro : IntakeError(error, offset: container.offset)
        }
    }

    private mutating func open(_ found: ContainerBlock) throws(IntakeError) {
        // A row of a column takes a byte at least. So a count alone cannot fill the log.
        guard found.count <= found.bytes.count else {
            throw .damaged(
                offset: found.offset,
                "the block says that it has \(found.count) rows, in \(found.bytes.count) bytes")
        }
        block = (found.bytes, found.offset)
        place = 0
        rowsLeft = found.count
    }

    private mutating func step(_ batch: JudgedBatch?, _ consumed: Int) -> IntakeStep {
        let first = rowCount + 1
        rowCount += Int64(batch?.rows.count ?? 0)
        return IntakeStep(
            batch: batch, consumedByteCount: consumed, blankLineCount: 0, firstLine: first)
    }

    /// Ends the open batch.
    private mutating func cut() -> JudgedBatch {
        var full = Self.builder(judge)
        swap(&full, &builder)
        var rows = ByteSink(capacity: 1 << 16)
        swap(&rows, &original)
        weight = 0
        return full.finish(format: .avro, original: rows.finish(), rowText: plan?.text)
    }

    /// Judges rows of the open block until the batch is full; nil if it is not.
    private mutating func judgeRows(_ rowLimit: Int) throws(IntakeError) -> JudgedBatch? {
        guard let block, let plan else { return nil }
        do throws(AvroDecodingError) {
            return try block.bytes.withUnsafeBytes { bytes throws(AvroDecodingError) in
                try judgeRows(of: bytes, plan, rowLimit)
            }
        } catch {
            throw .damaged(offset: block.offset, "its block's rows: \(error.sentence)")
        }
    }

    private mutating func judgeRows(
        of bytes: UnsafeRawBufferPointer, _ plan: AvroRowPlan, _ rowLimit: Int
    ) throws(AvroDecodingError) -> JudgedBatch? {
        while rowsLeft > 0 {
            var cursor = ByteCursor(UnsafeRawBufferPointer(rebasing: bytes[place...]))
            try plan.scan(&cursor, places)
            let end = bytes.count - cursor.remaining
            let row = UnsafeRawBufferPointer(rebasing: bytes[place..<end])
            let isTooLong = row.count > judge.limits.rowByteCount
            let heavier = weight + plan.text.weight(ofRowWith: row.count)
            if builder.rowCount > 0, isTooLong || heavier > judge.limits.batchByteCount {
                return cut()
            }
            if isTooLong {
                try pass(to: end, of: bytes)
                return refuse(row, plan)
            }
            let start = original.count
            original.append(raw: row)
            try builder.judge(places, plan, original: start..<original.count)
            weight = heavier
            try pass(to: end, of: bytes)
            if builder.rowCount == rowLimit { return cut() }
        }
        try pass(to: place, of: bytes, rowCount: 0)
        return nil
    }

    /// Goes on to the next row; behind the last one the block has to end.
    private mutating func pass(
        to end: Int, of bytes: UnsafeRawBufferPointer, rowCount: Int = 1
    ) throws(AvroDecodingError) {
        place = end
        rowsLeft -= rowCount
        guard rowsLeft == 0 else { return }
        guard end == bytes.count else { throw .bytesLeft(bytes.count - end) }
        block = nil
    }

    /// A batch of one row that is too long; of its text the beginnings of the values are kept.
    private mutating func refuse(
        _ row: UnsafeRawBufferPointer, _ plan: AvroRowPlan
    ) -> JudgedBatch {
        let text = Bytes(plan.text.brief(row, byteCountMax: IntakeLimits.malformedByteCount))
        var single = Self.builder(judge)
        single.begin()
        let limit = judge.limits.rowByteCount
        single.reject(
            .malformedRow,
            "the row has \(row.count) bytes, more than the \(limit) that a row may have; "
                + "long values are cut here")
        single.closeUnread(original: 0..<text.count)
        return single.finish(format: .avro, original: text)
    }
}
