/// Puts the definitions together: looks up every name, and lays out the ledger's rules.
struct CatalogBuilder {
    private let tables: [TableDraft]
    private let aggregates: [AggregateDraft]
    private let diagnostics: DiagnosticList

    init(_ drafts: [Draft], _ diagnostics: DiagnosticList) {
        self.diagnostics = diagnostics
        tables = drafts.compactMap { if case .table(let table) = $0 { table } else { nil } }
            .sorted { $0.name.value < $1.name.value }
        aggregates = drafts.compactMap {
            if case .aggregate(let aggregate) = $0 { aggregate } else { nil }
        }.sorted { $0.name.value < $1.name.value }
    }

    func build() throws(CatalogError) -> Catalog {
        reportTakenNames()
        // A name that is looked up in vain would be no mistake if its own file could be read.
        if diagnostics.lacksDefinition { try diagnostics.throwIfAny() }
        let resolvers = tables.map { TableResolver(draft: $0, diagnostics: diagnostics) }
        let constraints = constraints(of: resolvers)
        let lookup = ReferenceResolver(
            tables: resolvers, aggregates: aggregates.map(\.name.value), constraints: constraints,
            diagnostics: diagnostics)
        let built = resolvers.indices.map { index in
            resolvers[index].table(index: index, slots: lookup.slots(of: resolvers[index]))
        }
        let faulty = tables.filter { $0.columns.contains { $0.column == nil } }.map(\.name.value)
        let resolver = AggregateResolver(tables: built, diagnostics: diagnostics)
        let aggregates = aggregates.filter { !faulty.contains($0.from.value) }
            .compactMap(resolver.aggregate)
        try diagnostics.throwIfAny()
        return Catalog(tables: built, aggregates: aggregates, constraints: constraints)
    }

    /// Tables and aggregates share one space of names: both are tables in Postgres.
    private func reportTakenNames() {
        let names = (tables.map(\.name) + aggregates.map(\.name)).sorted {
            ($0.place.file, $0.place.line) < ($1.place.file, $1.place.line)
        }
        var taken: [String: Place] = [:]
        for name in names {
            if let first = taken[name.value.lowercased()] {
                diagnostics.report(
                    name.place, "the name `\(name.value)` is taken by \(first.file):\(first.line)",
                    "names of tables and aggregates must differ, in more than case")
            } else {
                taken[name.value.lowercased()] = name.place
            }
        }
    }

    private func constraints(of tables: [TableResolver]) -> [KeyConstraint] {
        var constraints: [KeyConstraint] = []
        for table in tables {
            for columns in table.uniqueSets {
                let names = columns.map { table.draft.columns[$0].name.value }
                let types = columns.map { table.draft.columns[$0].column?.type }
                constraints.append(
                    KeyConstraint(
                        index: constraints.count,
                        name: "\(table.name)/\(names.joined(separator: ","))", table: table.name,
                        columns: names, isInteger: types == [.integer]))
            }
        }
        return constraints
    }
}

/// Looks up the columns that one table's own rules name.
struct TableResolver {
    let draft: TableDraft
    let diagnostics: DiagnosticList
    let key: [Int]
    let unique: [[Int]]

    var name: String { draft.name.value }
    /// The key if there is one, then the further unique sets.
    var uniqueSets: [[Int]] { (key.isEmpty ? [] : [key]) + unique }

    init(draft: TableDraft, diagnostics: DiagnosticList) {
        self.draft = draft
        self.diagnostics = diagnostics
        let find = ColumnLookup(draft: draft, diagnostics: diagnostics)
        let key = find.set(draft.key ?? [], of: "`key`") ?? []
        var sets: Set<Set<Int>> = [Set(key)]
        self.key = key
        unique = draft.unique.compactMap { names in
            guard let first = names.first else { return nil }
            guard let columns = find.set(names, of: "`unique`") else { return nil }
            if !sets.insert(Set(columns)).inserted {
                diagnostics.report(
                    first.place, "these columns are a key or unique already", "remove the line")
            }
            return columns
        }
        for name in draft.key ?? [] {
            guard let index = find.quietly(name.value),
                draft.columns[index].column?.isOptional == true
            else { continue }
            diagnostics.report(
                name.place, "the key's column `\(name.value)` is optional",
                "a key needs a value in every row: take `optional` away")
        }
    }

    func table(index: Int, slots: [SlotPlan]) -> Table {
        let find = ColumnLookup(draft: draft, diagnostics: diagnostics)
        let checks = draft.checks.compactMap { check(of: $0, find) }
        return Table(
            name: name, doc: draft.doc, index: index,
            columns: KeyWidth.limited(
                draft.columns.compactMap(\.column), uniqueSets: uniqueSets, of: draft,
                diagnostics),
            key: key, unique: unique, unknownFields: draft.unknownFields,
            rejectedRaw: draft.rejectedRaw, checks: checks, slots: slots)
    }

    private func check(of draft: CheckDraft, _ find: ColumnLookup) -> Check? {
        guard let left = find.index(of: draft.left), let right = find.index(of: draft.right)
        else { return nil }
        guard let leftType = find.type(left), let rightType = find.type(right) else { return nil }
        if left == right {
            diagnostics.report(
                draft.right.place, "the check compares `\(draft.left.value)` with itself",
                "name two columns")
        } else if !leftType.isComparable(with: rightType) {
            diagnostics.report(
                draft.right.place,
                "`\(draft.left.value)` is \(leftType) and `\(draft.right.value)` is \(rightType)",
                "compare columns of one type")
        } else if !leftType.isOrdered && draft.comparison.isOrdering {
            diagnostics.report(
                draft.left.place, "values of type \(leftType) have no order", "compare by = or !=")
        }
        return Check(left: left, comparison: draft.comparison, right: right)
    }
}

extension Comparison {
    /// Whether it asks which of two values is less.
    var isOrdering: Bool { self != .equal && self != .notEqual }
}

/// Finds a table's columns by name, and reports those that are not there.
struct ColumnLookup {
    let draft: TableDraft
    let diagnostics: DiagnosticList

    func quietly(_ name: String) -> Int? {
        draft.columns.firstIndex { $0.name.value == name }
    }

    func type(_ index: Int) -> ColumnType? { draft.columns[index].column?.type }

    func index(of name: Located<String>) -> Int? {
        if let index = quietly(name.value) { return index }
        // A table without its list of columns was reported as that.
        if draft.columns.isEmpty { return nil }
        diagnostics.report(
            name.place, "table `\(draft.name.value)` has no column `\(name.value)`",
            Naming.suggestion(
                for: name.value, among: draft.columns.map(\.name.value), kind: "its columns"))
        return nil
    }

    /// The columns of a key; absent if one is missing or stands twice.
    func set(_ names: [Located<String>], of what: String) -> [Int]? {
        var columns: [Int] = []
        for name in names {
            guard let column = index(of: name) else { continue }
            if columns.contains(column) {
                diagnostics.report(
                    name.place, "`\(name.value)` stands twice in \(what)", "keep one of them")
            } else {
                columns.append(column)
            }
        }
        if names.count > Table.keyColumnCountMax {
            diagnostics.report(
                names[0].place, "\(what) has \(names.count) columns",
                "Postgres has keys of at most \(Table.keyColumnCountMax)")
        }
        return columns.count == names.count ? columns : nil
    }
}
