import Avro
import DaybookCatalog

/// What form a batch's bytes had. The name is kept in the log.
public enum BatchFormat: String, Sendable {
    case json, ndjson, csv, avro
}

/// The codes of rejections in order of precedence: the order of the cases is the contract's order.
public enum RejectionCode: UInt8, Sendable, CaseIterable, Comparable {
    case malformedBatch, malformedRow, wrongFieldCount, duplicateField, unknownField, missingField
    case wrongType, outOfRange
    case invalidTimestamp, invalidDate, invalidDecimal, invalidUUID
    case tooLong, patternMismatch, notAllowed, checkFailed
    case duplicateKey, unknownReference, atomicBatch, `internal`

    /// Whether `left` takes precedence: the weightier code is the smaller.
    /// Whether `left` takes precedence.
    public static func < (left: RejectionCode, right: RejectionCode) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The code as users read it, in snake case.
    public var name: String {
        switch self {
        case .malformedBatch: "malformed_batch"
        case .malformedRow: "malformed_row"
        case .wrongFieldCount: "wrong_field_count"
        case .duplicateField: "duplicate_field"
        case .unknownField: "unknown_field"
        case .missingField: "missing_field"
        case .wrongType: "wrong_type"
        case .outOfRange: "out_of_range"
        case .invalidTimestamp: "invalid_timestamp"
        case .invalidDate: "invalid_date"
        case .invalidDecimal: "invalid_decimal"
        case .invalidUUID: "invalid_uuid"
        case .tooLong: "too_long"
        case .patternMismatch: "pattern_mismatch"
        case .notAllowed: "not_allowed"
        case .checkFailed: "check_failed"
        case .duplicateKey: "duplicate_key"
        case .unknownReference: "unknown_reference"
        case .atomicBatch: "atomic_batch"
        case .internal: "internal"
        }
    }
}

/// One reason why a row was rejected.
public struct Reason: Sendable, Hashable {
    /// The rule that was broken.
    /// What kind of fault it is.
    public let code: RejectionCode
    /// The column or field it is about, if it is about one; at most 256 bytes.
    public let column: String?
    /// What is wrong and what would be right, for a person; at most 256 bytes.
    public let message: String

    /// A reason; whoever makes it keeps `column` and `message` within their limits.
    /// A reason; the caller keeps to the limits.
    public init(_ code: RejectionCode, column: String? = nil, _ message: String) {
        self.code = code
        self.column = column
        self.message = message
    }
}

/// A key value as the ledger looks it up: nothing, an integer, or a 128-bit keyed fingerprint.
public struct KeySlot: Sendable, Hashable {
    /// What a slot holds.
    /// What a slot holds.
    public enum Kind: UInt8, Sendable { case absent, integer, fingerprint }
    /// Which of the three it is: says how `low` and `high` are read.
    /// What this slot holds.
    public let kind: Kind
    /// The integer's bits, or the fingerprint's low half.
    public let low: UInt64
    /// The fingerprint's high half.
    public let high: UInt64

    /// A slot of these bits; for an absent or integer one there are shorter ways.
    /// A slot from its parts.
    @inlinable public init(kind: Kind, low: UInt64, high: UInt64) {
        self.kind = kind
        self.low = low
        self.high = high
    }

    /// No value: a null, or a column that was itself wrong. Nothing is looked up.
    @inlinable public static var absent: KeySlot { KeySlot(kind: .absent, low: 0, high: 0) }

    /// The value of a single integer column.
    @inlinable public static func integer(_ value: Int64) -> KeySlot {
        KeySlot(kind: .integer, low: UInt64(bitPattern: value), high: 0)
    }
}

/// Where one row of a batch stands in the batch's buffers, and what intake found.
public struct JudgedRow: Sendable {
    /// Where the row's original bytes start in `JudgedBatch.original` (no line terminator).
    public var originalStart: UInt32
    /// How many bytes these are; zero where the row has none of its own.
    /// How many there are.
    public var originalCount: UInt32
    /// Where its Avro bytes start in `JudgedBatch.encoded`, after the branch number.
    public var encodedStart: UInt32
    /// Zero for a rejected row.
    public var encodedCount: UInt32
    /// Where its reasons start in `JudgedBatch.reasons`; in order of precedence, at most 16.
    public var reasonsStart: UInt32
    /// Zero for a candidate: a row that only the ledger can still reject.
    public var reasonsCount: UInt32
    /// Lines by which this row starts later than the row before it plus one (blank lines and
    /// line ends inside quotes); 0 nearly always, and for formats without lines.
    public var lineSkip: UInt32

    /// A row of these ranges and of no others.
    /// A row from its places.
    public init(
        originalStart: UInt32, originalCount: UInt32, encodedStart: UInt32, encodedCount: UInt32,
        reasonsStart: UInt32, reasonsCount: UInt32, lineSkip: UInt32
    ) {
        self.originalStart = originalStart
        self.originalCount = originalCount
        self.encodedStart = encodedStart
        self.encodedCount = encodedCount
        self.reasonsStart = reasonsStart
        self.reasonsCount = reasonsCount
        self.lineSkip = lineSkip
    }

    /// Whether intake found no fault; the ledger has the last word.
    @inlinable public var isCandidate: Bool { reasonsCount == 0 }
}

/// A batch whose rows intake has judged by themselves: flat buffers, nothing allocated a row.
///
/// A body that is no batch at all is one row with the reason `malformedBatch`, whose original bytes
/// are the body's first 64 KiB (all of it, if the table keeps a digest) and whose
/// `malformedByteCount` is the whole length.
public struct JudgedBatch: Sendable {
    /// The table that the rows are for, as the catalog that judged them has it.
    /// The table whose rules the rows were judged by.
    public let table: Table
    /// The form of the body that `original` is of.
    /// The form the bytes had.
    public let format: BatchFormat
    /// The bytes as they were sent; of a file's rows in Avro, see `raw(ofRow:)`.
    public let original: Bytes
    /// The rows in the order in which they were sent; at least one.
    /// The rows in the order in which they were sent; at least one.
    public let rows: ContiguousArray<JudgedRow>
    /// For each candidate in row order: its branch number (an Avro long, `table.index`) and then
    /// the row in Avro's binary encoding. So a run of candidates is one run of bytes.
    public let encoded: Bytes
    /// The reasons of all rejected rows, row by row.
    /// The reasons of all rejected rows, in row order.
    public let reasons: [Reason]
    /// `table.slots.count` slots for every row, rejected rows too (absent where a column is wrong).
    public let slots: ContiguousArray<KeySlot>
    /// The length of the whole body if it was no batch, else nil.
    public let malformedByteCount: Int?

    /// How rows in Avro are written as text; nil where the original bytes are text already.
    let rowText: AvroRowText?

    /// A batch of these buffers; only their counts are checked.
    /// A batch of rows that were judged.
    public init(
        table: Table, format: BatchFormat, original: Bytes, rows: ContiguousArray<JudgedRow>,
        encoded: Bytes, reasons: [Reason], slots: ContiguousArray<KeySlot>,
        malformedByteCount: Int? = nil
    ) {
        self.init(
            table: table, format: format, original: original, rows: rows, encoded: encoded,
            reasons: reasons, slots: slots, malformedByteCount: malformedByteCount, rowText: nil)
    }

    init(
        table: Table, format: BatchFormat, original: Bytes, rows: ContiguousArray<JudgedRow>,
        encoded: Bytes, reasons: [Reason], slots: ContiguousArray<KeySlot>,
        malformedByteCount: Int? = nil, rowText: AvroRowText?
    ) {
        precondition(!rows.isEmpty, "a batch has at least one row")
        precondition(
            slots.count == rows.count * table.slots.count, "every row has a slot for every rule")
        self.table = table
        self.format = format
        self.original = original
        self.rows = rows
        self.encoded = encoded
        self.reasons = reasons
        self.slots = slots
        self.malformedByteCount = malformedByteCount
        self.rowText = rowText
    }
}

extension JudgedBatch {
    /// What a rejection of one row keeps of it: its bytes as they were sent. Bytes in Avro say
    /// nothing without their schema, so of these it is a JSON object, made when it is asked for.
    public func raw(ofRow row: Int) -> [UInt8] {
        let start = Int(rows[row].originalStart)
        let range = start..<(start + Int(rows[row].originalCount))
        guard let rowText else { return original.array(in: range) }
        return original.withUnsafeBytes(in: range) { rowText.text(of: $0) }
    }

    /// The first bytes of the whole batch as a rejection keeps them, and how many there are in all.
    public func rawStart(byteCountMax: Int) -> (bytes: [UInt8], byteCount: Int) {
        guard rowText != nil else {
            let kept = original.array(in: 0..<min(original.count, byteCountMax))
            return (kept, malformedByteCount ?? original.count)
        }
        var lines: [UInt8] = []
        var byteCount = 0
        for row in rows.indices {
            let text = raw(ofRow: row) + [UInt8(ascii: "\n")]
            byteCount += text.count
            lines += text.prefix(byteCountMax - lines.count)
        }
        return (lines, byteCount)
    }
}
