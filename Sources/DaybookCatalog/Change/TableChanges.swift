/// What was changed in one table's definition, in words.
struct TableChanges {
    /// Changes that judge rows otherwise, or make others of them.
    private(set) var rules: [String] = []
    /// Changes of words about them.
    private(set) var words: [String] = []

    init(
        from old: Table, _ oldConstraints: [KeyConstraint], to new: Table,
        _ constraints: [KeyConstraint]
    ) {
        compareColumns(old, new)
        note("key", old.list(old.key), new.list(new.key))
        note("unknownFields", old.unknownFields.rawValue, new.unknownFields.rawValue)
        note("rejectedRaw", old.rejectedRaw.rawValue, new.rejectedRaw.rawValue)
        compareSets("unique", old.unique.map(old.list), new.unique.map(new.list))
        compareSets("check", old.checks.map(old.text), new.checks.map(new.text))
        compareSets("references", old.references(oldConstraints), new.references(constraints))
        if old.doc != new.doc { words.append("doc: in other words") }
    }

    private mutating func compareColumns(_ old: Table, _ new: Table) {
        for column in new.columns {
            if let before = old.columns.first(where: { $0.name == column.name }) {
                compare(before, column)
            } else {
                rules.append("new column \(column.name): \(column.typeText)")
            }
        }
        let kept = new.columns.map(\.name)
        for column in old.columns where !kept.contains(column.name) {
            rules.append("column \(column.name) is left out")
        }
        let common = old.columns.map(\.name).filter(kept.contains)
        if kept.filter(common.contains) != common { rules.append("columns in another order") }
    }

    private mutating func compare(_ old: Column, _ new: Column) {
        let name = "column \(new.name)"
        note(name, old.typeText, new.typeText)
        note("\(name): maxLength", old.maxLength.map(String.init), new.maxLength.map(String.init))
        note("\(name): pattern", old.pattern?.text, new.pattern?.text)
        note("\(name): min", old.text(old.minimum), new.text(new.minimum))
        note("\(name): max", old.text(old.maximum), new.text(new.maximum))
        note("\(name): oneOf", old.allowedText, new.allowedText)
        note(
            "\(name): alias", old.aliases.joined(separator: ", "),
            new.aliases.joined(separator: ", "))
        if old.doc != new.doc { words.append("\(name): doc: in other words") }
    }

    private mutating func note(_ what: String, _ old: String?, _ new: String?) {
        if old == new { return }
        rules.append("\(what): \(CatalogComparison.change(old ?? "", new ?? ""))")
    }

    private mutating func compareSets(_ what: String, _ old: [String], _ new: [String]) {
        for text in new where !old.contains(text) { rules.append("\(what): \(text)") }
        for text in old where !new.contains(text) { rules.append("\(what): \(text) goes") }
    }
}

extension Table {
    fileprivate func list(_ set: [Int]) -> String {
        "[\(set.map { columns[$0].name }.joined(separator: ", "))]"
    }

    fileprivate func text(_ check: Check) -> String {
        "\(columns[check.left].name) \(check.comparison.rawValue) \(columns[check.right].name)"
    }

    fileprivate func references(_ constraints: [KeyConstraint]) -> [String] {
        slots.compactMap { slot in
            guard case .reference(let rejectMissing) = slot.role else { return nil }
            let constraint = constraints[slot.constraint]
            let target = "\(constraint.table)[\(constraint.columns.joined(separator: ", "))]"
            return "\(list(slot.columns)) in \(target)" + (rejectMissing ? "" : ", if it is there")
        }
    }
}

extension Column {
    /// `optional string`, `date, default 2024-01-01`.
    fileprivate var typeText: String {
        (isOptional ? "optional " : "") + "\(type)"
            + (text(defaultValue).map { ", default \($0)" } ?? "")
    }

    fileprivate func text(_ value: ScalarValue?) -> String? { value.map { $0.text(type: type) } }

    fileprivate var allowedText: String? {
        oneOf.map { values in values.map { $0.text(type: type) }.joined(separator: ", ") }
    }
}
