import DaybookCatalog

/// An aggregate as the fold needs it: which columns of its table are looked at, and what becomes of
/// them. Made once.
struct AggregatePlan {
    /// A column that is looked at, known by its place in `sources`.
    struct Source {
        let name: String
        let type: ColumnType
    }

    /// One column of the key.
    struct Group {
        let source: Int
        let function: Aggregate.TimeFunction?
    }

    /// One figure.
    struct Measure {
        let function: Aggregate.Measure.Function
        /// Nil for `count`.
        let source: Int?
    }

    let aggregate: Aggregate
    let columns: [AggregateColumn]
    let sources: [Source]
    let groups: [Group]
    let measures: [Measure]
    let condition: RowCondition?

    init(_ aggregate: Aggregate, table: Table) {
        var sources: [Source] = []
        func source(_ name: String) -> Int {
            if let known = sources.firstIndex(where: { $0.name == name }) { return known }
            sources.append(Source(name: name, type: table.column(named: name).type))
            return sources.count - 1
        }
        self.aggregate = aggregate
        columns = aggregate.tableColumns(of: table)
        groups = aggregate.groups.map { Group(source: source($0.column), function: $0.function) }
        measures = aggregate.measures.map {
            Measure(function: $0.function, source: $0.column.map(source))
        }
        condition = aggregate.condition.map {
            let place = source($0.column)
            return RowCondition(
                source: place, type: sources[place].type, comparison: $0.comparison,
                value: $0.value)
        }
        self.sources = sources
    }

    init(_ aggregate: Aggregate, in catalog: Catalog) {
        guard let table = catalog.table(named: aggregate.table) else {
            preconditionFailure("an aggregate is of a table of its catalog")
        }
        self.init(aggregate, table: table)
    }

    /// The columns that are written; Postgres computes the others.
    var writtenColumns: [AggregateColumn] { columns.filter { $0.generation == nil } }

    /// Brings groups up to date: a parameter for every written column, an array of the values of
    /// all groups.
    func upsert(into target: String) -> String {
        let written = writtenColumns
        let names = written.map { SQLText.identifier($0.name) }
        let arrays = written.indices.map { "$\($0 + 1)::\(written[$0].sqlType)[]" }
        let key = aggregate.groups.map { SQLText.identifier($0.name) }
        let changes = written.compactMap { column -> String? in
            let name = SQLText.identifier(column.name)
            switch column.role {
            case .group: return nil
            case .count: return "\(name) = t.\(name) + excluded.\(name)"
            case .sum: return added(name)
            case .measure(let place):
                switch measures[place].function {
                case .count: return "\(name) = t.\(name) + excluded.\(name)"
                case .sum: return added(name)
                case .min: return "\(name) = least(t.\(name), excluded.\(name))"
                case .max: return "\(name) = greatest(t.\(name), excluded.\(name))"
                case .avg: preconditionFailure("an average is computed, not written")
                }
            }
        }
        return """
            INSERT INTO \(target) AS t (\(names.joined(separator: ", ")))
            SELECT * FROM unnest(\(arrays.joined(separator: ", ")))
            ON CONFLICT (\(key.joined(separator: ", "))) DO UPDATE
               SET \(changes.joined(separator: ", "))
            """
    }

    /// The columns that tell groups apart.
    var keyColumns: [AggregateColumn] {
        columns.filter { if case .group = $0.role { true } else { false } }
    }

    /// Deletes groups: a parameter for every column of the key, an array of the values of all
    /// groups.
    func delete(from target: String) -> String {
        let key = keyColumns
        let arrays = key.indices.map { "$\($0 + 1)::\(key[$0].sqlType)[]" }
        let names = key.indices.map { "c\($0)" }.joined(separator: ", ")
        let matches = key.enumerated().map { place, column in
            // Only what may be null is compared in the way that no join is faster for.
            "t.\(SQLText.identifier(column.name)) "
                + (column.isOptional ? "IS NOT DISTINCT FROM" : "=") + " k.c\(place)"
        }
        return "DELETE FROM \(target) AS t"
            + " USING unnest(\(arrays.joined(separator: ", "))) AS k (\(names))"
            + " WHERE \(matches.joined(separator: " AND "))"
    }

    /// The sum of no value is null, as in SQL.
    private func added(_ name: String) -> String {
        "\(name) = coalesce(t.\(name) + excluded.\(name), t.\(name), excluded.\(name))"
    }
}

/// The condition on the rows that count, over a row's fields. A null meets none.
struct RowCondition {
    let source: Int
    let type: ColumnType
    let comparison: Comparison
    let value: ScalarValue

    @inline(__always)
    func isMet(by field: CopyField, in row: CopyRow) -> Bool {
        if field.isNull { return false }
        switch value {
        case .integer(let value): return holds(row.int64(field), value)
        case .timestamp(let value):
            return holds(row.int64(field) + PostgresEpoch.microseconds, value)
        case .date(let value): return holds(row.int32(field) + PostgresEpoch.days, value)
        case .number(let value):
            return holds(Double(bitPattern: UInt64(bitPattern: row.int64(field))), value)
        case .boolean(let value): return holds(row.value(field)[0] != 0 ? 1 : 0, value ? 1 : 0)
        case .decimal(let value):
            guard case .decimal(_, let scale) = type else {
                preconditionFailure("a decimal stands in a column of decimals")
            }
            return holds(NumericDecoding.unscaled(row.value(field), scale: scale), value)
        case .string(let text):
            // By bytes, which is the order of Unicode's scalars.
            let bytes = row.value(field)
            if bytes.elementsEqual(text.utf8) { return holds(0, 0) }
            return bytes.lexicographicallyPrecedes(text.utf8) ? holds(-1, 0) : holds(1, 0)
        case .uuid(let high, let low):
            let bytes = row.value(field)
            let isEqual =
                bytes.loadUnaligned(as: UInt64.self).bigEndian == high
                && bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self).bigEndian == low
            return comparison == .equal ? isEqual : !isEqual
        }
    }

    @inline(__always)
    private func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
        switch comparison {
        case .less: left < right
        case .lessOrEqual: left <= right
        case .equal: left == right
        case .notEqual: left != right
        case .greaterOrEqual: left >= right
        case .greater: left > right
        }
    }
}
