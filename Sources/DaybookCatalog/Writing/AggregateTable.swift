/// One column of an aggregate's table in Postgres.
public struct AggregateColumn: Sendable, Hashable {
    /// What stands in it.
    public enum Role: Sendable, Hashable {
        /// The value of a group, by its place in `Aggregate.groups`.
        case group(Int)
        /// A measure, by its place in `Aggregate.measures`.
        case measure(Int)
        /// The sum below an `avg`, by the measure's place.
        case sum(Int)
        /// How many values an `avg` is of, by the measure's place.
        case count(Int)
    }

    /// Its name.
    public let name: String
    /// What stands in it.
    public let role: Role
    /// What its values are: a type of columns, or nil for a `numeric` without bounds (sums and
    /// averages of integers and decimals).
    public let type: ColumnType?
    /// Whether it may be null.
    public let isOptional: Bool
    /// The expression that Postgres computes it from, for `avg`; nil for a column that is written.
    public let generation: String?

    /// The type's name in Postgres.
    public var sqlType: String { type?.sqlType ?? "numeric" }
}

extension Aggregate {
    /// The columns of its table: the groups, the measures, and last what an `avg` is made of.
    ///
    /// - Parameter table: the table that the aggregate is made from.
    public func tableColumns(of table: Table) -> [AggregateColumn] {
        precondition(table.name == self.table, "an aggregate goes with its table")
        var columns: [AggregateColumn] = []
        var parts: [AggregateColumn] = []
        for (place, group) in groups.enumerated() {
            let source = table.column(named: group.column)
            columns.append(
                AggregateColumn(
                    name: group.name, role: .group(place), type: group.type(of: source),
                    isOptional: source.isOptional, generation: nil))
        }
        var taken = Set((groups.map(\.name) + measures.map(\.name)))
        func fresh(_ name: String) -> String {
            var name = name
            while !taken.insert(name).inserted { name += "_" }
            return name
        }
        for (place, measure) in measures.enumerated() {
            var generation: String?
            if measure.function == .avg {
                let sum = fresh(measure.name + "_sum")
                let count = fresh(measure.name + "_count")
                generation = "\(SQLText.identifier(sum)) / nullif(\(SQLText.identifier(count)), 0)"
                let type = measure.type(in: table)
                parts += [
                    AggregateColumn(
                        name: sum, role: .sum(place), type: type, isOptional: true,
                        generation: nil),
                    AggregateColumn(
                        name: count, role: .count(place), type: .integer, isOptional: false,
                        generation: nil),
                ]
            }
            columns.append(
                AggregateColumn(
                    name: measure.name, role: .measure(place), type: measure.type(in: table),
                    isOptional: measure.function != .count, generation: generation))
        }
        return columns + parts
    }

    /// The statements that make its table in `schema`. The groups are its key, by which rows are
    /// brought up to date, so the key is made before the first row; and pages keep room, so that a
    /// row's next version stands beside it and the key's index stays as it is.
    public func ddl(of table: Table, schema: String) -> TableDDL {
        let target = SQLText.identifier(schema) + "." + SQLText.identifier(name)
        let columns = tableColumns(of: table)
        let lines = columns.map { column in
            "    \(SQLText.identifier(column.name)) \(column.sqlType)"
                + (column.isOptional ? "" : " NOT NULL")
                + (column.generation.map { " GENERATED ALWAYS AS (\($0)) STORED" } ?? "")
        }
        let key = groups.map { SQLText.identifier($0.name) }.joined(separator: ", ")
        let hasOptional = columns.prefix(groups.count).contains { $0.isOptional }
        let constraint = hasOptional ? "UNIQUE NULLS NOT DISTINCT" : "PRIMARY KEY"
        return TableDDL(
            createTable: "CREATE TABLE \(target) (\n\(lines.joined(separator: ",\n"))\n)"
                + " WITH (fillfactor = 50)",
            keyStatements: ["ALTER TABLE \(target) ADD \(constraint) (\(key))"],
            commentStatements: doc.isEmpty
                ? [] : ["COMMENT ON TABLE \(target) IS \(SQLText.literal(doc))"])
    }
}

extension Aggregate.Group {
    /// What its values are.
    fileprivate func type(of source: Column) -> ColumnType {
        switch function {
        case nil: source.type
        case .date: .date
        case .bucket: .timestamp
        case .year, .quarter, .month, .day, .hour, .minute: .integer
        }
    }
}

extension Aggregate.Measure {
    /// What its values are; nil for a `numeric` without bounds.
    fileprivate func type(in table: Table) -> ColumnType? {
        guard let column else { return .integer }
        let source = table.column(named: column).type
        switch function {
        case .count: return .integer
        case .min, .max: return source
        case .sum, .avg: return source == .number ? .number : nil
        }
    }
}

extension Table {
    /// The column of that name, which a checked definition names.
    public func column(named name: String) -> Column {
        guard let column = columns.first(where: { $0.name == name }) else {
            preconditionFailure("a definition that was checked names columns that there are")
        }
        return column
    }
}
