import Avro
import DaybookLog
import Foundation
import TestSupport

@testable import LedgerWorld

/// Two tables, one of which refers to the other, an aggregate, and a model of what they hold: a
/// list of events, the simplest thing that can be right.
struct Shops {
    static let dictionary = [
        """
        table: shops
        key: [name]
        columns:
          - {name: name, type: string, maxLength: 40}
          - {name: opened, type: date, optional: true}
        """,
        """
        table: sales
        key: [id]
        columns:
          - {name: id, type: integer}
          - {name: shop, type: string, references: shops}
          - {name: amount, type: "decimal(12,2)", optional: true}
          - {name: weight, type: number, optional: true}
          - {name: moment, type: timestamp}
          - {name: paid, type: boolean}
          - {name: reference, type: uuid, optional: true}
        """,
        """
        aggregate: by_shop
        from: sales
        groupBy: {shop: shop, year: year(moment)}
        measures: {sales: count, total: sum(amount), latest: max(moment)}
        """,
    ]

    /// What SQL gives for a table in the words of the model, in order of position.
    static func query(_ table: String, in schema: String) -> String {
        switch table {
        case "shops":
            "SELECT ledger_position, name, coalesce((opened - date '1970-01-01')::text, '-')"
                + " FROM \(schema).shops ORDER BY 1"
        default:
            "SELECT ledger_position, id, shop, coalesce((amount * 100)::bigint::text, '-'),"
                + " coalesce((weight * 8)::bigint::text, '-'),"
                + " (extract(epoch FROM moment) * 1000000)::bigint, paid,"
                + " coalesce(reference::text, '-') FROM \(schema).sales ORDER BY 1"
        }
    }

    /// Counts the groups that the aggregate in a schema has and its table has not, or otherwise.
    static func difference(in schema: String) -> String {
        let kept = "SELECT shop, year, sales, total, latest FROM \(schema).by_shop"
        let made =
            "SELECT shop, extract(year FROM moment AT TIME ZONE 'UTC')::bigint, count(*),"
            + " sum(amount), max(moment) FROM \(schema).sales GROUP BY 1, 2"
        return "SELECT (SELECT count(*) FROM (\(kept) EXCEPT ALL \(made)) AS a)"
            + " + (SELECT count(*) FROM (\(made) EXCEPT ALL \(kept)) AS b)"
    }

    /// One accepted row, as `query` prints it.
    struct Event {
        let position: Position
        let table: String
        let text: String
        /// The event that took it back, if one did.
        var retraction: Position?
    }

    /// All accepted rows.
    private(set) var events: [Event] = []
    /// The ends of all batches, 0 among them, with the time of each.
    private(set) var ends: [(position: Position, receivedAt: Microseconds)] = [(0, 0)]
    private var shops: [String] = []
    private var nextID: Int64 = 1
    /// Ids of sales that were taken back.
    private var freeIDs: [Int64] = []

    /// What a table holds at a position.
    func rows(of table: String, at position: Position) -> String {
        events.filter {
            $0.table == table && $0.position < position && $0.retraction ?? .max >= position
        }.map(\.text)
            .joined(separator: "\n")
    }

    /// Appends a block of some batches: of shops, of sales, and of rejections.
    mutating func append(to world: World, _ random: inout SeededGenerator) throws {
        var batches: [(table: String, rows: [World.Row])] = []
        var position = world.log.durable.position
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let isShops = shops.isEmpty || Int.random(in: 0..<4, using: &random) == 0
            var rows: [World.Row] = []
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                if Int.random(in: 0..<5, using: &random) == 0 {
                    rows.append(.rejected(.init(raw: [65], rawLength: nil, reasons: [])))
                } else {
                    rows.append(isShops ? shop(position, &random) : sale(position, &random))
                }
                position += 1
            }
            batches.append((isShops ? "shops" : "sales", rows))
        }
        var time = world.log.lastReceivedAt
        var end = world.log.durable.position
        try world.append(batches)
        for batch in batches {
            time += 1_000_000
            end += Position(batch.rows.count)
            ends.append((end, time))
        }
        if Int.random(in: 0..<4, using: &random) == 0 { try retract(from: world, &random) }
    }

    /// Takes some sales back; their ids may come again.
    private mutating func retract(
        from world: World, _ random: inout SeededGenerator
    ) throws {
        let standing = events.indices.filter {
            events[$0].table == "sales" && events[$0].retraction == nil
        }
        let chosen = standing.shuffled(using: &random).prefix(Int.random(in: 1...9, using: &random))
        if chosen.isEmpty { return }
        let place = world.log.durable.position
        for index in chosen {
            events[index].retraction = place
            let id = events[index].text.split(separator: "|")[1]
            if let id = Int64(id) { freeIDs.append(id) }
        }
        try world.retract(chosen.map { events[$0].position..<events[$0].position + 1 })
        ends.append((place + 1, world.log.lastReceivedAt))
    }

    private mutating func shop(
        _ position: Position, _ random: inout SeededGenerator
    ) -> World.Row {
        let name = ["Zürich", "Oslo", "a\"b,c", "Łódź", "né"].randomElement(using: &random) ?? ""
        let key = "\(name) \(shops.count)"
        shops.append(key)
        let day = Int64.random(in: -50_000...50_000, using: &random)
        let hasDay = Bool.random(using: &random)
        note(position, "shops", [key, hasDay ? "\(day)" : "-"])
        return .accepted { sink in
            sink.append(string: key)
            sink.append(long: hasDay ? 1 : 0)
            if hasDay { sink.append(long: day) }
        }
    }

    private mutating func sale(
        _ position: Position, _ random: inout SeededGenerator
    ) -> World.Row {
        // Ids come in no order, so that files are not sorted by chance.
        var id = nextID * 7919 % 1_000_003 * (nextID.isMultiple(of: 2) ? 1 : -1)
        nextID += 1
        if Bool.random(using: &random), let free = freeIDs.popLast() { id = free }
        let shop = shops.randomElement(using: &random) ?? ""
        let cents = Int64.random(in: -999_999_999...999_999_999, using: &random)
        let eighths = Int64.random(in: -800...800, using: &random)
        let moments: ClosedRange<Int64> = -4_000_000_000_000_000...4_000_000_000_000_000
        let moment = Int64.random(in: moments, using: &random)
        let isPaid = Bool.random(using: &random)
        let (hasCents, hasWeight) = (Bool.random(using: &random), Bool.random(using: &random))
        let digit = Int.random(in: 0..<30, using: &random)
        let reference = digit < 10 ? "0190a000-0000-7000-8000-00000000000\(digit)" : nil
        note(
            position, "sales",
            [
                "\(id)", shop, hasCents ? "\(cents)" : "-", hasWeight ? "\(eighths)" : "-",
                "\(moment)", isPaid ? "t" : "f", reference ?? "-",
            ])
        return .accepted { sink in
            sink.append(long: id)
            sink.append(string: shop)
            sink.append(long: hasCents ? 1 : 0)
            if hasCents { Sales.append(unscaled: Int128(cents), to: &sink) }
            sink.append(long: hasWeight ? 1 : 0)
            if hasWeight { sink.append(double: Double(eighths) / 8) }
            sink.append(long: moment)
            sink.append(boolean: isPaid)
            sink.append(long: reference == nil ? 0 : 1)
            if let reference { sink.append(string: reference) }
        }
    }

    private mutating func note(_ position: Position, _ table: String, _ values: [String]) {
        let text = (["\(position)"] + values).joined(separator: "|")
        events.append(Event(position: position, table: table, text: text))
    }
}
