extension Catalog {
    /// What a table or an aggregate is made of, so that a change of the dictionary is told from
    /// none; nil if the catalog has neither of that name.
    ///
    /// Two of the same shape have the same columns in Postgres and are made from events in the same
    /// way. Rules that only judge rows to come, such as patterns and references, are no part of it.
    public func shape(of name: String) -> String? {
        if let table = table(named: name) { return table.shape }
        guard let aggregate = aggregate(named: name), let table = table(named: aggregate.table)
        else { return nil }
        return aggregate.shape(of: table)
    }
}

extension Table {
    fileprivate var shape: String {
        let ddl = ddl(schema: "")
        return ([ddl.createTable] + ddl.keyStatements + columns.compactMap(\.fallbackText))
            .joined(separator: "\n")
    }
}

extension Aggregate {
    fileprivate func shape(of table: Table) -> String {
        let ddl = ddl(of: table, schema: "")
        let groups = groups.map { "\($0.name) \($0.column) \($0.function as Any)" }
        let measures = measures.map { "\($0.name) \($0.function) \($0.column ?? "")" }
        let condition = condition.map { "\($0.column) \($0.comparison.rawValue) \($0.value)" } ?? ""
        // What stands for values that old events lack is a part of every figure.
        let used = Set(
            self.groups.map(\.column) + self.measures.compactMap(\.column)
                + (self.condition.map { [$0.column] } ?? []))
        let sources = table.columns.filter { used.contains($0.name) }.map {
            "\($0.name) \($0.type) \($0.isOptional) \($0.fallbackText ?? "")"
        }
        let parts = [ddl.createTable] + ddl.keyStatements + groups + measures + sources
        return (parts + [condition, timeZone, self.table]).joined(separator: "\n")
    }
}

extension Column {
    /// What stands for a missing value in rows that are made from old events.
    fileprivate var fallbackText: String? {
        isOptional ? nil : defaultValue.map { "\(name) \($0.text(type: type))" }
    }
}
