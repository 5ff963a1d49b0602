/// What would change if one dictionary took the place of another: for every table and aggregate of
/// either, the changes in words, and what becomes of what is there.
public struct CatalogComparison: Sendable {
    /// What becomes of a table or an aggregate.
    public enum Outcome: String, Sendable, CaseIterable {
        /// Nothing, or only words about it.
        case unchanged
        /// Rows to come are judged by other rules; those that are there stay.
        case rules
        /// It is made anew from the log beside the old one, and swapped in.
        case rebuilt
        /// It is made, from all rows of that name that the log has.
        case new
        /// It stays in Postgres as it is and is no longer kept.
        case removed
        /// It cannot be: the dictionary is refused as a whole.
        case refused
    }

    /// One table or aggregate.
    public struct Item: Sendable, Equatable {
        /// Its name.
        public let name: String
        /// Whether it is an aggregate.
        public let isAggregate: Bool
        /// What becomes of it.
        public let outcome: Outcome
        /// What was changed, in words.
        public let changes: [String]
        /// Why it is refused.
        public let obstacles: [String]
    }

    /// Tables first, then aggregates, each in order of name.
    public let items: [Item]

    /// Whether the new dictionary is refused.
    public var isRefused: Bool { items.contains { $0.outcome == .refused } }

    /// Compares `old`, which is in force (nil for an empty log), with `new`. `obstacles` says by
    /// table what the rows in the log have against it.
    public init(from old: Catalog?, to new: Catalog, obstacles: [String: [String]] = [:]) {
        let tables = Set((old?.tables ?? []).map(\.name) + new.tables.map(\.name))
        let aggregates = Set((old?.aggregates ?? []).map(\.name) + new.aggregates.map(\.name))
        items =
            tables.sorted().map { name in
                let found = obstacles[name] ?? []
                return Item(
                    name: name, isAggregate: false,
                    outcome: Self.outcome(name, old, new, isRefused: !found.isEmpty),
                    changes: Self.tableChanges(name, old, new), obstacles: found)
            }
            + aggregates.sorted().map { name in
                let table = new.aggregate(named: name)?.table
                let isRefused = table.flatMap { obstacles[$0] }.map { !$0.isEmpty } ?? false
                return Item(
                    name: name, isAggregate: true,
                    outcome: Self.outcome(name, old, new, isRefused: isRefused),
                    changes: Self.aggregateChanges(name, old, new),
                    obstacles: isRefused ? ["it is made from \(table ?? ""), which is refused"] : []
                )
            }
    }

    private static func outcome(
        _ name: String, _ old: Catalog?, _ new: Catalog, isRefused: Bool
    ) -> Outcome {
        if isRefused { return .refused }
        guard let shape = new.shape(of: name) else { return .removed }
        guard let old, let oldShape = old.shape(of: name) else { return .new }
        if shape != oldShape { return .rebuilt }
        guard let before = old.table(named: name), let after = new.table(named: name) else {
            return .unchanged
        }
        let changes = TableChanges(from: before, old.constraints, to: after, new.constraints)
        return changes.rules.isEmpty ? .unchanged : .rules
    }

    private static func tableChanges(_ name: String, _ old: Catalog?, _ new: Catalog) -> [String] {
        guard let old, let before = old.table(named: name), let after = new.table(named: name)
        else { return [] }
        let changes = TableChanges(from: before, old.constraints, to: after, new.constraints)
        return changes.rules + changes.words
    }

    private static func aggregateChanges(
        _ name: String, _ old: Catalog?, _ new: Catalog
    ) -> [String] {
        guard let before = old?.aggregate(named: name), let after = new.aggregate(named: name)
        else { return [] }
        let parts: [(String, String, String)] = [
            ("from", before.table, after.table),
            ("groupBy", before.groupText, after.groupText),
            ("measures", before.measureText, after.measureText),
            ("where", before.conditionText, after.conditionText),
            ("timeZone", before.timeZone, after.timeZone),
            ("doc", "", before.doc == after.doc ? "" : "in other words"),
        ]
        return parts.filter { $0.1 != $0.2 }.map { "\($0.0): \(change($0.1, $0.2))" }
    }

    /// A change of one thing in words.
    static func change(_ before: String, _ after: String) -> String {
        switch (before.isEmpty, after.isEmpty) {
        case (true, _): after
        case (_, true): "\(before) goes"
        default: "\(before) becomes \(after)"
        }
    }
}

extension Aggregate {
    fileprivate var groupText: String {
        groups.map { group in
            let function = group.function.map { "\($0)" } ?? ""
            return "\(group.name): " + (function.isEmpty ? "" : "\(function) of ") + group.column
        }.joined(separator: ", ")
    }
    fileprivate var measureText: String {
        measures.map { measure in
            "\(measure.name): \(measure.function)" + (measure.column.map { " of \($0)" } ?? "")
        }.joined(separator: ", ")
    }
    fileprivate var conditionText: String {
        condition.map { "\($0.column) \($0.comparison.rawValue) \($0.value)" } ?? ""
    }
}
