/// Turns a table's keys and references into the slots that the ledger fills for every row.
struct ReferenceResolver {
    let tables: [TableResolver]
    let aggregates: [String]
    let constraints: [KeyConstraint]
    let diagnostics: DiagnosticList

    func slots(of table: TableResolver) -> [SlotPlan] {
        let own = constraints.filter { $0.table == table.name }
        var slots = zip(own, table.uniqueSets).map { constraint, columns in
            SlotPlan(
                role: .unique, constraint: constraint.index, columns: columns,
                isInteger: constraint.isInteger)
        }
        for reference in table.draft.references {
            guard let slot = slot(of: reference, in: table) else { continue }
            if slots.contains(where: {
                $0.role != .unique && $0.constraint == slot.constraint && $0.columns == slot.columns
            }) {
                diagnostics.report(
                    reference.table.place, "the reference stands twice", "keep one of them")
            }
            slots.append(slot)
        }
        return slots
    }

    private func slot(of reference: ReferenceDraft, in table: TableResolver) -> SlotPlan? {
        let own = ColumnLookup(draft: table.draft, diagnostics: diagnostics)
        guard let from = own.set(reference.from, of: "`from`"),
            let target = target(of: reference),
            let constraint = constraint(of: reference, in: target)
        else { return nil }
        guard constraint.columns.count == from.count else {
            diagnostics.report(
                reference.table.place,
                "\(from.count) column refers to \(constraint.columns.count) columns "
                    + "(\(constraint.columns.joined(separator: ", ")))",
                "name as many under the table's `references: {from: […], table: …}`")
            return nil
        }
        let theirs = ColumnLookup(draft: target.draft, diagnostics: diagnostics)
        for (index, name) in zip(from, constraint.columns) {
            guard let type = own.type(index),
                let otherType = theirs.quietly(name).flatMap(theirs.type), type != otherType
            else { continue }
            diagnostics.report(
                reference.table.place,
                "`\(table.draft.columns[index].name.value)` is \(type), "
                    + "but `\(target.name).\(name)` is \(otherType)",
                "give both one type")
        }
        return SlotPlan(
            role: .reference(rejectMissing: reference.rejectsMissing),
            constraint: constraint.index, columns: from, isInteger: constraint.isInteger)
    }

    private func target(of reference: ReferenceDraft) -> TableResolver? {
        let name = reference.table.value
        if let table = tables.first(where: { $0.name == name }) { return table }
        if aggregates.contains(name) {
            diagnostics.report(
                reference.table.place, "`\(name)` is an aggregate", "refer to a table")
        } else {
            diagnostics.report(
                reference.table.place, "there is no table `\(name)`",
                Naming.suggestion(for: name, among: tables.map(\.name), kind: "the tables"))
        }
        return nil
    }

    /// The key, or the unique set of the columns that the reference names.
    private func constraint(
        of reference: ReferenceDraft, in target: TableResolver
    ) -> KeyConstraint? {
        let candidates = constraints.filter { $0.table == target.name }
        guard let columns = reference.columns else {
            if !target.key.isEmpty { return candidates.first }
            // A table whose `key` is missing or wrong was reported where it stands.
            if target.draft.key?.isEmpty == true {
                diagnostics.report(
                    reference.table.place, "table `\(target.name)` has no key",
                    "name columns that are unique there: `{table: \(target.name), columns: […]}`")
            }
            return nil
        }
        let names = columns.map(\.value)
        if let constraint = candidates.first(where: { $0.columns == names }) { return constraint }
        let known = candidates.map { $0.columns.joined(separator: ", ") }
        diagnostics.report(
            columns.first?.place ?? reference.table.place,
            "\(names.joined(separator: ", ")) is neither the key of `\(target.name)` "
                + "nor unique there",
            known.isEmpty
                ? "declare it under `unique` in `\(target.name)`"
                : "refer to \(known.map { "[\($0)]" }.joined(separator: " or "))")
        return nil
    }
}
