import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// What the ledger found against a row, beyond what intake did.
struct RowFault: Equatable {
    let row: Int
    let reason: Reason
}

/// Reads the key of a row that stands at a position, in the log or in the group being decided.
protocol KeyReader {
    /// The key's bytes as `KeyLayout` gives them; nil if the row there has none.
    mutating func key(of constraint: KeyConstraint, at position: Position) -> [UInt8]?
    /// Whether two keys of one fingerprint count as equal without being read.
    var trustsFingerprints: Bool { get }
}

extension KeyReader {
    var trustsFingerprints: Bool { false }
}

/// The rules of one table as the ledger applies them.
struct TableRules {
    /// A class, so that a row's way through its rules copies references and not strings.
    final class Rule: Sendable {
        let role: SlotPlan.Role
        let constraint: KeyConstraint
        /// The columns in this table's rows.
        let layout: KeyLayout
        /// The columns' names, for reasons.
        let columns: String
        /// Place, among the rules, of the same table's rule that takes the values referred to.
        let ownRule: Int?

        init(_ plan: SlotPlan, of table: Table, constraints: [KeyConstraint]) {
            let constraint = constraints[plan.constraint]
            role = plan.role
            self.constraint = constraint
            layout = KeyLayout(constraint: constraint, columns: plan.columns)
            columns = plan.columns.map { table.columns[$0].name }.joined(separator: ",")
            ownRule = table.slots.firstIndex {
                $0.role == .unique && $0.constraint == plan.constraint
            }
        }

        /// Whether it takes the values of `constraint`.
        func takes(_ constraint: KeyConstraint) -> Bool {
            role == .unique && self.constraint.index == constraint.index
        }
    }
    let shape: RowShape
    let rules: [Rule]
    /// Whether reasons may quote the values of a row.
    let quotesValues: Bool

    init(_ table: Table, shape: RowShape, constraints: [KeyConstraint]) {
        self.shape = shape
        quotesValues = table.rejectedRaw == .full
        rules = table.slots.map { Rule($0, of: table, constraints: constraints) }
    }
}

/// Decides uniqueness and references of a batch's rows, in order, and takes the keys of those that
/// stand. Pure: no thread, no disk, no clock.
struct RowJudgement<Reader: KeyReader> {
    let table: TableRules
    let batch: JudgedBatch
    /// The first row's position.
    let position: Position
    var reader: Reader
    private var values = RowValues()
    /// The row whose values have been read, or -1.
    private var valuesRow = -1
    private(set) var faults: [RowFault] = []

    init(_ batch: JudgedBatch, table: TableRules, position: Position, reader: Reader) {
        self.batch = batch
        self.table = table
        self.position = position
        self.reader = reader
    }

    /// Judges all rows. A row that was rejected already takes no keys, but hears what else is
    /// wrong.
    mutating func run<Keys: KeySpace>(_ keys: inout Keys) {
        let rules = table.rules
        if rules.isEmpty { return }
        batch.slots.withUnsafeBufferPointer { slots in
            batch.rows.withUnsafeBufferPointer { rows in
                for row in rows.indices {
                    let mark = keys.mark
                    let before = faults.count
                    let isCandidate = rows[row].isCandidate
                    for index in rules.indices {
                        let slot = slots[row * rules.count + index]
                        if slot.kind == .absent { continue }
                        apply(rules[index], slot, row, isCandidate, slots, &keys)
                    }
                    if faults.count > before { keys.undo(to: mark) }
                }
            }
        }
    }

    @inline(__always)
    private mutating func apply<Keys: KeySpace>(
        _ rule: TableRules.Rule, _ slot: KeySlot, _ row: Int, _ isCandidate: Bool,
        _ slots: UnsafeBufferPointer<KeySlot>, _ keys: inout Keys
    ) {
        let constraint = rule.constraint.index
        switch rule.role {
        case .unique:
            let isFree =
                if slot.kind == .integer {
                    isCandidate
                        ? keys.insert(slot.low, of: constraint)
                        : !keys.contains(slot.low, of: constraint)
                } else {
                    take(rule, slot, row, isCandidate, &keys)
                }
            if !isFree { fault(row, .duplicateKey, rule, slot, "is taken by an earlier row") }
        case .reference(rejectMissing: false): break
        case .reference(rejectMissing: true):
            let isKnown =
                slot.kind == .integer
                ? keys.contains(slot.low, of: constraint)
                : find(rule, slot, row, keys) != nil
            if isKnown { return }
            // A row may refer to itself; one that was rejected has not taken its own key.
            if let own = rule.ownRule, slots[row * table.rules.count + own] == slot { return }
            let missing = "is not in \(rule.constraint.table)"
            fault(row, .unknownReference, rule, slot, missing)
        }
    }

    private mutating func fault(
        _ row: Int, _ code: RejectionCode, _ rule: TableRules.Rule, _ slot: KeySlot, _ what: String
    ) {
        let isQuoted = slot.kind == .integer && table.quotesValues
        let value = isQuoted ? " \(Int64(bitPattern: slot.low))" : ""
        let message = cut("\(rule.columns)\(value) \(what)", to: IntakeLimits.reasonByteCount)
        let column = cut(rule.columns, to: IntakeLimits.reasonByteCount)
        faults.append(RowFault(row: row, reason: Reason(code, column: column, message)))
    }

    /// Takes a fingerprint for the row, or finds it taken; whether it was free.
    private mutating func take<Keys: KeySpace>(
        _ rule: TableRules.Rule, _ slot: KeySlot, _ row: Int, _ isCandidate: Bool,
        _ keys: inout Keys
    ) -> Bool {
        var place = Fingerprint(slot)
        while let holder = keys.position(of: place, in: rule.constraint.index) {
            if holds(holder, rule, row) { return false }
            place = place.next
        }
        if isCandidate {
            keys.insert(place, position: position + Position(row), in: rule.constraint.index)
        }
        return true
    }

    private mutating func find<Keys: KeySpace>(
        _ rule: TableRules.Rule, _ slot: KeySlot, _ row: Int, _ keys: Keys
    ) -> Position? {
        var place = Fingerprint(slot)
        while let holder = keys.position(of: place, in: rule.constraint.index) {
            if holds(holder, rule, row) { return holder }
            place = place.next
        }
        return nil
    }

    /// Whether the row at `holder` really has the key of `row`. A row that intake rejected has no
    /// encoded values to compare with; for one more reason the fingerprint is good enough.
    private mutating func holds(_ holder: Position, _ rule: TableRules.Rule, _ row: Int) -> Bool {
        if holder == Fingerprint.freed { return false }
        guard batch.rows[row].isCandidate, !reader.trustsFingerprints else { return true }
        if valuesRow != row {
            read(row)
            valuesRow = row
        }
        guard let key = reader.key(of: rule.constraint, at: holder) else { return false }
        return rule.layout.withKeyBytes(of: values) { own in
            own?.elementsEqual(key) ?? false
        }
    }

    private mutating func read(_ row: Int) {
        let place = batch.rows[row]
        let start = Int(place.encodedStart)
        var cursor = ByteCursor(
            UnsafeRawBufferPointer(
                rebasing: batch.encoded.unsafeBytes[start..<(start + Int(place.encodedCount))]))
        do {
            try values.read(&cursor, shape: table.shape)
        } catch {
            preconditionFailure("intake encodes rows as the schema says: \(error)")
        }
    }
}

/// The text, cut before a character so that it has at most so many bytes of UTF-8.
func cut(_ text: String, to byteCount: Int) -> String {
    if text.utf8.count <= byteCount { return text }
    var end = text.utf8.index(text.startIndex, offsetBy: byteCount)
    while end.samePosition(in: text.unicodeScalars) == nil {
        end = text.utf8.index(before: end)
    }
    return String(text[..<end])
}
