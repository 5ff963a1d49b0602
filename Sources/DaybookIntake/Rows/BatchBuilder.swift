import Avro
import DaybookCatalog

/// Builds a judged batch row by row, in buffers that only grow.
///
/// A row is opened, given one value a column in the columns' order, and closed. Its Avro bytes go
/// straight behind those of the row before; a row with a reason is cut off again.
struct BatchBuilder: ~Copyable {
    let plan: TablePlan
    private let probe: RowProbe?
    /// Whether the rows are of an Avro file, or were. Then fields that the table does not have
    /// are passed over, as Avro's resolution does, and times in text may leave their offset out.
    let isFromAvro: Bool
    var encoded: ByteSink
    /// Text behind escapes or doubled quotes.
    var scratch = ByteSink()
    private var rows = ContiguousArray<JudgedRow>()
    private var slots = ContiguousArray<KeySlot>()
    private var reasons: [Reason] = []
    /// The open row's reasons in order of precedence.
    private var rowReasons: [Reason] = []
    /// Where the open row's values stand behind `rowStart`.
    let spans: UnsafeMutablePointer<ValueSpan>
    private(set) var rowStart = 0

    /// How many rows have been closed.
    var rowCount: Int { rows.count }

    init(
        plan: TablePlan, probe: RowProbe?, rowCount: Int, byteCount: Int, isFromAvro: Bool = false
    ) {
        self.plan = plan
        self.probe = probe
        self.isFromAvro = isFromAvro
        encoded = ByteSink(capacity: byteCount)
        rows.reserveCapacity(rowCount)
        slots.reserveCapacity(rowCount * plan.slots.count)
        spans = .allocate(capacity: plan.columns.count)
        spans.initialize(repeating: .absent, count: plan.columns.count)
    }

    deinit { spans.deallocate() }

    /// Opens a row.
    mutating func begin() {
        encoded.append(long: plan.branch)
        rowStart = encoded.count
    }

    /// Adds a reason to the open row, behind those of the same code; the least important go first
    /// when there are too many. The message is made only if it is kept.
    mutating func reject(
        _ code: RejectionCode, column: String? = nil, _ message: @autoclosure () -> String
    ) {
        let isFull = rowReasons.count == IntakeLimits.reasonCount
        if isFull, let last = rowReasons.last, last.code <= code { return }
        if isFull { rowReasons.removeLast() }
        let place = rowReasons.firstIndex { $0.code > code } ?? rowReasons.count
        let reason =
            plan.table.rejectedRaw == .digest
            ? ReasonText.withoutValues(code, column: column, of: plan.table, message())
            : Reason(code, column: column.map(ReasonText.cut), ReasonText.cut(message()))
        rowReasons.insert(reason, at: place)
    }

    /// Closes the open row, whose values all stand in `spans`.
    mutating func close(original: Range<Int>, lineSkip: Int = 0) {
        do {
            if plan.hasChecks {
                for check in plan.table.checks { try compare(check) }
            }
            try plan.slots.append(
                base: encoded.unsafeBytes.baseAddress.unsafelyUnwrapped + rowStart, spans: spans,
                to: &slots)
            if rowReasons.isEmpty, let probe {
                try probe(UnsafeRawBufferPointer(rebasing: encoded.unsafeBytes[rowStart...]))
            }
        } catch {
            slots.removeLast(slots.count - rows.count * plan.slots.count)
            appendAbsentSlots()
            reject(.internal, "the row could not be judged: \(error)")
        }
        append(original: original, lineSkip: lineSkip)
    }

    /// Closes the open row, whose values were not read.
    mutating func closeUnread(original: Range<Int>, lineSkip: Int = 0) {
        appendAbsentSlots()
        append(original: original, lineSkip: lineSkip)
    }

    private mutating func appendAbsentSlots() {
        slots.append(contentsOf: repeatElement(.absent, count: plan.slots.count))
    }

    private mutating func append(original: Range<Int>, lineSkip: Int) {
        let isRejected = !rowReasons.isEmpty
        if isRejected { encoded.truncate(to: rowStart - plan.branchByteCount) }
        rows.append(
            JudgedRow(
                originalStart: UInt32(original.lowerBound), originalCount: UInt32(original.count),
                encodedStart: UInt32(isRejected ? encoded.count : rowStart),
                encodedCount: isRejected ? 0 : UInt32(encoded.count - rowStart),
                reasonsStart: UInt32(reasons.count), reasonsCount: UInt32(rowReasons.count),
                lineSkip: UInt32(lineSkip)))
        if isRejected {
            reasons.append(contentsOf: rowReasons)
            rowReasons.removeAll(keepingCapacity: true)
        }
    }

    /// The batch, once every row is closed.
    consuming func finish(
        format: BatchFormat, original: Bytes, rowText: AvroRowText? = nil
    ) -> JudgedBatch {
        // A struct that has a `deinit` cannot be taken apart, so the sink is swapped out.
        var bytes = ByteSink(capacity: 0)
        swap(&bytes, &encoded)
        return JudgedBatch(
            table: plan.table, format: format, original: original, rows: rows,
            encoded: bytes.finish(), reasons: reasons, slots: slots, rowText: rowText)
    }
}

/// A last question about a row's Avro bytes, asked when no rule refused it. What it throws makes
/// the row an `internal` rejection; the other rows are unaffected.
typealias RowProbe = @Sendable (UnsafeRawBufferPointer) throws -> Void
