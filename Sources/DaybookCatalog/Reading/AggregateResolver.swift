/// Looks up the table and columns of aggregates.
struct AggregateResolver {
    let tables: [Table]
    let diagnostics: DiagnosticList

    func aggregate(_ draft: AggregateDraft) -> Aggregate? {
        guard let table = tables.first(where: { $0.name == draft.from.value }) else {
            diagnostics.report(
                draft.from.place, "there is no table `\(draft.from.value)`",
                Naming.suggestion(
                    for: draft.from.value, among: tables.map(\.name), kind: "the tables"))
            return nil
        }
        for group in draft.groups { check(group, in: table) }
        for measure in draft.measures { check(measure, in: table) }
        return Aggregate(
            name: draft.name.value, doc: draft.doc, table: table.name,
            groups: draft.groups.map {
                Aggregate.Group(
                    name: $0.name.value, function: $0.function, column: $0.column.value)
            },
            measures: draft.measures.map {
                Aggregate.Measure(
                    name: $0.name.value, function: $0.function, column: $0.column?.value)
            },
            condition: draft.condition.flatMap { condition($0, in: table) },
            timeZone: draft.timeZone)
    }

    private func column(_ name: Located<String>, in table: Table) -> Column? {
        if let column = table.columns.first(where: { $0.name == name.value }) { return column }
        diagnostics.report(
            name.place, "table `\(table.name)` has no column `\(name.value)`",
            Naming.suggestion(
                for: name.value, among: table.columns.map(\.name), kind: "its columns"))
        return nil
    }

    private func check(_ group: GroupDraft, in table: Table) {
        guard let column = column(group.column, in: table), let function = group.function
        else { return }
        let isDay = column.type == .date && !function.isFinerThanDay
        guard column.type != .timestamp && !isDay else { return }
        diagnostics.report(
            group.column.place, "`\(function.name)` of a column of type \(column.type)",
            function.isFinerThanDay
                ? "it takes a timestamp" : "it takes a timestamp or a date")
    }

    private func check(_ measure: MeasureDraft, in table: Table) {
        guard let name = measure.column, let column = column(name, in: table) else { return }
        let isOrderedValue = column.type == .date || column.type == .timestamp
        let takesOrdered = measure.function == .min || measure.function == .max
        guard !column.type.isNumeric && !(isOrderedValue && takesOrdered) else { return }
        diagnostics.report(
            name.place, "`\(measure.function.rawValue)` of a column of type \(column.type)",
            takesOrdered
                ? "it takes integer, number, decimal, date or timestamp"
                : "it takes integer, number or decimal")
    }

    private func condition(
        _ draft: ConditionDraft, in table: Table
    ) -> Aggregate.Condition? {
        guard let column = column(draft.left, in: table) else { return nil }
        if !column.type.isOrdered && draft.comparison.isOrdering {
            diagnostics.report(
                draft.left.place, "values of type \(column.type) have no order",
                "compare by = or !=")
        }
        let reader = DefinitionReader(file: draft.right.place.file, diagnostics: diagnostics)
        guard let value = reader.value(draft.right, of: column.type)?.value else { return nil }
        return Aggregate.Condition(
            column: column.name, comparison: draft.comparison, value: value)
    }
}
