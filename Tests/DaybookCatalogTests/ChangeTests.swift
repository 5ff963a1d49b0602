import Avro
import TestSupport
import Testing

@testable import DaybookCatalog

@Suite("Changes of the dictionary")
struct ChangeTests {
    private static let goods = """
        table: goods
        key: [id]
        columns:
          - {name: id,    type: integer}
          - {name: name,  type: string, maxLength: 20}
          - {name: price, type: "decimal(8,2)"}
          - {name: shelf, type: string, optional: true}
        """
    private static let sales = """
        table: sales
        key: []
        columns:
          - {name: good, type: integer, references: goods}
          - {name: at, type: timestamp}
        """
    private static let daily = """
        aggregate: daily
        from: sales
        groupBy: {day: date(at), good: good}
        measures: {sales: count}
        """

    /// A change as a text of `goods` that becomes another, and its outcome.
    struct Change: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let old: String
        let new: String
        let outcome: CatalogComparison.Outcome
        /// The change, or the obstacle, in words.
        let words: String

        init(
            _ name: String, _ old: String, _ new: String,
            _ outcome: CatalogComparison.Outcome, _ words: String
        ) {
            testDescription = name
            self.old = old
            self.new = new
            self.outcome = outcome
            self.words = words
        }
    }

    private static let shelf = "  - {name: shelf, type: string, optional: true}"

    /// Additive, narrowing, widening, and what cannot be read.
    private static let changes = [
        Change(
            "a new optional column", shelf,
            shelf + "\n  - {name: note, type: string, optional: true}",
            .rebuilt, "new column note: optional string"),
        Change(
            "a new column with a default", shelf,
            shelf + "\n  - {name: unit, type: string, default: kg}",
            .rebuilt, "new column unit: string, default kg"),
        Change(
            "a longer text", "maxLength: 20", "maxLength: 40", .rules,
            "column name: maxLength: 20 becomes 40"),
        Change(
            "a narrower text", "maxLength: 20", "pattern: '[a-z]+'", .rules,
            "column name: pattern: [a-z]+"),
        Change(
            "an integer that becomes a number", "type: integer", "type: number", .rebuilt,
            "column id: integer becomes number"),
        Change(
            "a decimal with more digits", "decimal(8,2)", "decimal(12,4)", .rebuilt,
            "column price: decimal(8,2) becomes decimal(12,4)"),
        Change(
            "a column left out", shelf, "", .rebuilt, "column shelf is left out"),
        Change(
            "a text that becomes an integer", "type: string, maxLength: 20", "type: integer",
            .refused, "goods.name is integer, and string in events of the log; make it string"),
        Change(
            "a decimal with fewer digits", "decimal(8,2)", "decimal(8,1)", .refused,
            "goods.price is decimal(8,1), and decimal(8,2) in events of the log"),
        Change(
            "an optional column that becomes required", "string, optional: true", "string",
            .refused, "leave it optional, or give it a default"),
        Change(
            "a required column that events lack", shelf, shelf + "\n  - {name: on, type: date}",
            .refused, "goods.on is required date, and events lack it; make it optional"),
        Change(
            "another key", "key: [id]", "key: [id]\nunique: [[name]]", .rebuilt,
            "unique: [name]"),
        Change("other words", "table: goods", "table: goods\ndoc: All of them", .unchanged, "doc"),
        Change("nothing", "table: goods", "table: goods", .unchanged, ""),
    ]

    private func catalog(_ goods: String) throws -> Catalog {
        try CatalogLoader.load(text: goods + "\n---\n" + Self.sales + "\n---\n" + Self.daily)
    }

    private func compare(_ old: Catalog, _ new: Catalog) throws -> CatalogComparison {
        let records = try old.tables.map { table in
            guard case .record(let record) = try AvroSchema(json: table.avroSchema) else {
                preconditionFailure("a table's schema is a record")
            }
            return record
        }
        let obstacles = Dictionary(grouping: new.unreadable(records), by: \.table)
        return CatalogComparison(
            from: old, to: new, obstacles: obstacles.mapValues { $0.map(\.description) })
    }

    @Test("Each change has its outcome, and says what it is", arguments: changes)
    func outcome(_ change: Change) throws {
        let text = Self.goods.replacing(change.old, with: change.new, maxReplacements: 1)
        // A reference has the type of what it refers to.
        let isWidened = change.new == "type: number"
        let old = try catalog(Self.goods)
        let new = try CatalogLoader.load(
            text: isWidened ? text : text + "\n---\n" + Self.sales + "\n---\n" + Self.daily)
        let comparison = try compare(old, new)
        let goods = try #require(comparison.items.first { $0.name == "goods" })
        #expect(goods.outcome == change.outcome)
        let words = (goods.changes + goods.obstacles).joined(separator: "\n")
        #expect(change.words.isEmpty ? words.isEmpty : words.contains(change.words), "\(words)")
        #expect(comparison.isRefused == (change.outcome == .refused))
        let others = Set(comparison.items.filter { $0.name != "goods" }.map(\.outcome))
        #expect(others == (isWidened ? [.removed] : [.unchanged]))
    }

    @Test("Tables and aggregates come, go and change by themselves")
    func whole() throws {
        let all = try catalog(Self.goods)
        let part = try CatalogLoader.load(text: Self.goods)
        #expect(CatalogComparison(from: nil, to: all).items.map(\.outcome) == [.new, .new, .new])
        #expect(
            CatalogComparison(from: all, to: part).items.map(\.outcome)
                == [.unchanged, .removed, .removed])
        #expect(
            CatalogComparison(from: part, to: all).items.map(\.outcome) == [.unchanged, .new, .new])
        let other = Self.daily.replacing("day: date(at)", with: "year: year(at)")
        let changed = try CatalogLoader.load(
            text: Self.goods + "\n---\n" + Self.sales + "\n---\n" + other)
        let item = try #require(try compare(all, changed).items.last)
        #expect(item.outcome == .rebuilt && item.isAggregate)
        #expect(item.changes.count == 1 && item.changes[0].hasPrefix("groupBy: day: date of at"))
        let sales = Self.sales.replacing("timestamp", with: "date")
        let monthly = Self.daily.replacing("date(at)", with: "at")
        let refused = try compare(
            all,
            CatalogLoader.load(text: Self.goods + "\n---\n" + sales + "\n---\n" + monthly))
        #expect(refused.items.map(\.outcome) == [.unchanged, .refused, .refused])
    }

    @Test("A reference that is dropped, and one that only warns, are other rules")
    func references() throws {
        let old = try catalog(Self.goods)
        for (text, words) in [
            (", references: goods", "references: [good] in goods[id] goes"),
            (
                "references: goods",
                "references: [good] in goods[id], if it is there"
            ),
        ] {
            let new =
                text.hasPrefix(",")
                ? "" : "references: {table: goods, columns: [id], onMissing: accept}"
            let sales = Self.sales.replacing(text, with: new)
            let catalog = try CatalogLoader.load(
                text: Self.goods + "\n---\n" + sales + "\n---\n" + Self.daily)
            let item = try #require(
                CatalogComparison(from: old, to: catalog).items.first { $0.name == "sales" })
            #expect(item.outcome == .rules)
            #expect(item.changes.contains(words), "\(item.changes)")
        }
    }
}
