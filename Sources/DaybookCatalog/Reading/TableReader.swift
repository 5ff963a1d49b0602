import Yams

/// Reads the definition of a table.
struct TableReader {
    let reader: DefinitionReader

    static let keys = [
        "table", "doc", "key", "columns", "unique", "unknownFields", "rejectedRaw", "check",
        "references",
    ]

    func table(_ node: Node) -> TableDraft? {
        guard let fields = reader.fields(node, of: "a table", known: Self.keys),
            let name = fields["table"].flatMap({ reader.name($0, of: "`table`") })
        else { return nil }
        if Naming.reservedTables.contains(name.value) {
            reader.report(
                name.place, "a table may not be named `\(name.value)`",
                "that path is the interface's own; choose another name")
        }
        let (columns, references) = columns(fields)
        return TableDraft(
            name: name, doc: fields.text("doc")?.value ?? "", columns: columns, key: key(fields),
            unique: unique(fields),
            unknownFields: fields.choice("unknownFields", UnknownFields.self) ?? .reject,
            rejectedRaw: fields.choice("rejectedRaw", RejectedRaw.self) ?? .full,
            checks: fields["check"].map { reader.oneOrMore($0).compactMap(check) } ?? [],
            references: references + tableReferences(fields))
    }

    private func key(_ fields: Fields) -> [Located<String>]? {
        guard let node = fields["key"] else {
            reader.report(
                fields.place, "the table has no `key`",
                "write `key: [column]`, or `key: []` if rows are only ever added")
            return nil
        }
        return reader.oneOrMoreTexts(node, of: "`key`")
    }

    /// One list of columns, or a list of such lists.
    private func unique(_ fields: Fields) -> [[Located<String>]] {
        guard let node = fields["unique"] else { return [] }
        guard case .sequence(let sequence) = node, sequence.contains(where: { $0.scalar == nil })
        else { return reader.oneOrMoreTexts(node, of: "`unique`").map { [$0] } ?? [] }
        return sequence.compactMap { reader.oneOrMoreTexts($0, of: "an item of `unique`") }
    }

    private func check(_ node: Node) -> CheckDraft? {
        guard
            let fields = reader.fields(node, of: "a check", known: ["left", "op", "right"]),
            let (left, comparison, right) = reader.comparison(fields, of: "a check")
        else { return nil }
        return CheckDraft(left: left, comparison: comparison, right: right)
    }

    // MARK: Columns

    private func columns(_ fields: Fields) -> ([ColumnDraft], [ReferenceDraft]) {
        guard case .sequence(let sequence) = fields["columns"], !sequence.isEmpty else {
            reader.report(
                fields.place(of: "columns"), "the table has no list of columns",
                "write `columns:` and below it a line `- {name: id, type: integer}` a column")
            return ([], [])
        }
        if sequence.count > Table.columnCountMax {
            reader.report(
                fields.place(of: "columns"), "the table has \(sequence.count) columns",
                "a table has at most \(Table.columnCountMax)")
        }
        var columns: [ColumnDraft] = []
        var references: [ReferenceDraft] = []
        var taken: [String: Place] = [:]
        for node in sequence {
            let known = ["name"] + ColumnReader.keys
            guard let fields = reader.fields(node, of: "a column", known: known) else { continue }
            guard let name = columnName(fields) else { continue }
            let column = ColumnReader(reader: reader, name: name).column(fields)
            claim(name, column?.aliases ?? [], in: fields, taken: &taken)
            columns.append(ColumnDraft(name: name, column: column))
            if let node = fields["references"], let reference = reference(node, from: [name]) {
                references.append(reference)
            }
        }
        return (columns, references)
    }

    private func columnName(_ fields: Fields) -> Located<String>? {
        guard let node = fields["name"] else {
            reader.report(fields.place, "a column has no `name`", "write `name:` and its name")
            return nil
        }
        guard let name = reader.name(node, of: "`name`") else { return nil }
        if Naming.reservedColumns.contains(name.value.lowercased()) {
            reader.report(
                name.place, "a column may not be named `\(name.value)`",
                "every table in Postgres has one of that name; choose another")
        }
        return name
    }

    /// Names and aliases of a table's columns differ, even to a reader that ignores case.
    private func claim(
        _ name: Located<String>, _ aliases: [String], in fields: Fields,
        taken: inout [String: Place]
    ) {
        for (text, place) in [(name.value, name.place)]
            + aliases.map({ ($0, fields.place(of: "alias")) })
        {
            if let first = taken.updateValue(place, forKey: text.lowercased()) {
                reader.report(
                    place, "a column named `\(text)` stands at line \(first.line) already",
                    "names and aliases of a table's columns must differ")
            }
        }
    }

    // MARK: References

    private func tableReferences(_ fields: Fields) -> [ReferenceDraft] {
        guard let node = fields["references"] else { return [] }
        return reader.oneOrMore(node).compactMap { reference($0, from: nil) }
    }

    /// A table's name, or a mapping; `from` is absent where the mapping has to say it.
    private func reference(_ node: Node, from: [Located<String>]?) -> ReferenceDraft? {
        if let from, case .scalar = node {
            return reader.text(node, of: "`references`").map {
                ReferenceDraft(from: from, table: $0, columns: nil, rejectsMissing: true)
            }
        }
        let known = (from == nil ? ["from"] : []) + ["table", "columns", "onMissing"]
        guard let fields = reader.fields(node, of: "a reference", known: known) else { return nil }
        let ownColumns =
            from ?? fields["from"].flatMap { reader.oneOrMoreTexts($0, of: "`from`") } ?? []
        guard let table = fields.text("table"), !ownColumns.isEmpty else {
            reader.report(
                fields.place, "a reference does not say from where or to which table",
                from == nil
                    ? "write `{from: [column], table: name}`" : "write `{table: name}`")
            return nil
        }
        let onMissing = fields.choice("onMissing", OnMissing.self) ?? .reject
        return ReferenceDraft(
            from: ownColumns, table: table,
            columns: fields["columns"].flatMap { reader.oneOrMoreTexts($0, of: "`columns`") },
            rejectsMissing: onMissing == .reject)
    }

    private enum OnMissing: String, CaseIterable { case reject, accept }
}

extension DefinitionReader {
    /// The three parts of `{left, op, right}`.
    func comparison(
        _ fields: Fields, of what: String
    ) -> (Located<String>, Comparison, Located<String>)? {
        let left = fields.text("left")
        let comparison = fields.choice("op", Comparison.self)
        let right = fields.text("right")
        for key in ["left", "op", "right"] where fields[key] == nil {
            report(fields.place, "\(what) has no `\(key)`", "write `{left: a, op: '<', right: b}`")
        }
        guard let left, let comparison, let right else { return nil }
        return (left, comparison, right)
    }
}
