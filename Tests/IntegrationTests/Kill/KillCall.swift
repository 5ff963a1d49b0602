import Foundation
import Synchronization
import TestSupport

/// The dictionary of the kill rounds: an integer key, a text key that refers to it, no key at all,
/// and what one of them adds up to.
enum KillTrade {
    static let files = [
        "items": """
            table: items
            key: [id]
            columns:
              - {name: id,       type: integer}
              - {name: tag,      type: string}
              - {name: quantity, type: integer, min: 0}
            """,
        "orders": """
            table: orders
            key: [code]
            columns:
              - {name: code, type: string}
              - {name: item, type: integer, references: items}
              - {name: tag,  type: string}
            """,
        "notes": """
            table: notes
            key: []
            columns:
              - {name: tag,  type: string}
              - {name: text, type: string, optional: true}
            """,
        "items_by_quantity": """
            aggregate: items_by_quantity
            from: items
            groupBy:
              quantity: quantity
            measures: {rows: count}
            """,
    ]

    static let tables = ["items", "orders", "notes"]

    /// Makes a catalog folder.
    static func catalog(in folder: TemporaryFolder) throws -> String {
        for (name, text) in files { try folder.write(text, to: "catalog/projections/\(name).yaml") }
        try FileManager.default.createDirectory(
            atPath: folder.path("catalog/sql/reports"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: "\(packageRoot)/sql/migrations", toPath: folder.path("catalog/sql/migrations"))
        return folder.path("catalog")
    }
}

/// One row as it was sent. Its tag, `#call.row#`, is in the accepted row and in the bytes of a
/// rejected one: by it every row is known wherever it turns up.
struct SentRow: Sendable {
    /// The value of the key; nil where the table has none.
    var key: Int?
    /// The item that it refers to.
    var item: Int?
    /// The code that it gets whatever else is in the ledger; nil if it may be accepted.
    var flaw: String?
    let text: String
}

/// One batch under one idempotency key.
struct Call: Sendable {
    let number: Int
    let key: String
    let table: String
    let rows: [SentRow]
    /// All rows or none.
    var isAtomic = false
    /// One object a line, instead of an array.
    var isLines = false
    /// The key is another call's, whose body is another: it must be refused.
    var isConflict = false
    /// No batch at all, but a piece of one.
    var isTorn = false

    var path: String { "/v1/\(table)" + (isAtomic ? "?atomic=true" : "") }

    var headers: [String: String] {
        [
            "idempotency-key": key,
            "content-type": isLines ? "application/x-ndjson" : "application/json",
        ]
    }

    var body: Data {
        let texts = rows.map(\.text)
        if isLines { return Data(texts.joined(separator: "\n").utf8) }
        return Data(("[" + texts.joined(separator: ",") + (isTorn ? "" : "]")).utf8)
    }
}

/// What the client knows of one sending of a call.
struct Attempt: Sendable {
    enum Outcome: Sendable {
        /// The batch is in the log, with these verdicts.
        case verdicts(Data, isReplay: Bool)
        /// Nothing was kept: 422, 507.
        case refused(Int)
        /// No answer, or one that says that nobody knows.
        case unknown
    }

    let sent: ContinuousClock.Instant
    let ended: ContinuousClock.Instant
    let outcome: Outcome
}

/// A call and everything that was answered to it.
struct CallRecord: Sendable {
    let call: Call
    var attempts: [Attempt] = []

    /// The first answer that said what became of it.
    var verdicts: Data? {
        for attempt in attempts {
            if case .verdicts(let body, _) = attempt.outcome { return body }
        }
        return nil
    }

    var isAcknowledged: Bool { verdicts != nil }

    /// When it was sent first.
    var sent: ContinuousClock.Instant? { attempts.map(\.sent).min() }

    /// When the client knew.
    var acknowledged: ContinuousClock.Instant? {
        attempts.filter { if case .verdicts = $0.outcome { true } else { false } }.map(\.ended)
            .min()
    }

    /// Whether no attempt can have been taken.
    var isRefused: Bool {
        attempts.allSatisfy { if case .refused = $0.outcome { true } else { false } }
    }
}

/// Numbers that all connections take from.
final class KillNumbers: Sendable {
    private let calls = Atomic(0)
    private let items = Atomic(0)
    private let orders = Atomic(0)

    func nextCall() -> Int { calls.add(1, ordering: .relaxed).oldValue }
    func nextItem() -> Int { items.add(1, ordering: .relaxed).oldValue }
    func nextOrder() -> Int { orders.add(1, ordering: .relaxed).oldValue }
    var itemCount: Int { items.load(ordering: .relaxed) }
    var orderCount: Int { orders.load(ordering: .relaxed) }
}

/// Makes calls up: good rows, keys that were used before, in the batch or out of it, references
/// that exist and that do not, rows that are no rows, batches that are none.
struct CallMaker {
    let numbers: KillNumbers
    var random: SeededGenerator

    /// A new batch under a new key, or another body under the key of an older one.
    mutating func call(under older: Call? = nil) -> Call {
        let number = numbers.nextCall()
        let table = KillTrade.tables.randomElement(using: &random) ?? "items"
        let isTorn = older == nil && chance(2)
        let count = isTorn ? Int.random(in: 1...3, using: &random) : rowCount()
        var rows: [SentRow] = []
        for index in 0..<count {
            rows.append(row(of: table, tag: "#\(number).\(index)#", earlier: rows))
        }
        if isTorn {
            // The whole body is one rejection.
            let text = rows.map(\.text).joined(separator: ",")
            rows = [SentRow(flaw: "malformed_batch", text: text)]
        }
        let key = older?.key ?? "key \(number)"
        var call = Call(number: number, key: key, table: table, rows: rows)
        call.isTorn = isTorn
        call.isConflict = older != nil
        call.isAtomic = !isTorn && chance(6)
        call.isLines = !isTorn && chance(25)
        return call
    }

    private mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    private mutating func rowCount() -> Int {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<45: 1
        case 45..<85: Int.random(in: 2...8, using: &random)
        case 85..<99: Int.random(in: 9...60, using: &random)
        default: Int.random(in: 300...1_000, using: &random)
        }
    }

    private mutating func row(of table: String, tag: String, earlier: [SentRow]) -> SentRow {
        if chance(2) { return SentRow(flaw: "malformed_row", text: "\"no row \(tag)\"") }
        switch table {
        case "items":
            let id = pick(earlier, below: numbers.itemCount) ?? numbers.nextItem()
            if chance(3) {
                return SentRow(
                    key: id, flaw: "missing_field", text: #"{"id":\#(id),"tag":"\#(tag)"}"#)
            }
            let quantity = Int.random(in: -1...40, using: &random)
            return SentRow(
                key: id, flaw: quantity < 0 ? "out_of_range" : nil,
                text: #"{"id":\#(id),"tag":"\#(tag)","quantity":\#(quantity)}"#)
        case "orders":
            let code = pick(earlier, below: numbers.orderCount) ?? numbers.nextOrder()
            let item = Int.random(in: 0...numbers.itemCount + 5, using: &random)
            return SentRow(
                key: code, item: item,
                text: #"{"code":"order \#(code)","item":\#(item),"tag":"\#(tag)"}"#)
        default:
            if chance(3) {
                return SentRow(
                    flaw: "unknown_field", text: #"{"tag":"\#(tag)","colour":"red"}"#)
            }
            return SentRow(text: #"{"tag":"\#(tag)","text":"a note, \"\#(tag.count)\""}"#)
        }
    }

    /// Now and then a key that was used before: in the batch, or anywhere.
    private mutating func pick(_ earlier: [SentRow], below count: Int) -> Int? {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<4: earlier.compactMap(\.key).randomElement(using: &random)
        case 4..<14 where count > 0: Int.random(in: 0..<count, using: &random)
        default: nil
        }
    }
}
