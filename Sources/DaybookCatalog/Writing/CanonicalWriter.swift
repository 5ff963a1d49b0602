import Crypto

/// Writes definitions as YAML in one way only, so that equal catalogs have equal text.
///
/// One document a definition, tables before aggregates, each in order of name. Rules that have
/// their default value are left out, references stand at the table. Free text is in quotes.
struct CanonicalWriter {
    private(set) var text = ""

    mutating func write(_ table: Table, _ constraints: [KeyConstraint]) {
        start("table", table.name, table.doc)
        text += "key: \(list(table.key.map { table.columns[$0].name }))\n"
        if table.unknownFields != .reject {
            text += "unknownFields: \(table.unknownFields.rawValue)\n"
        }
        if table.rejectedRaw != .full {
            text += "rejectedRaw: \(table.rejectedRaw.rawValue)\n"
        }
        text += "columns:\n"
        for column in table.columns { write(column) }
        if !table.unique.isEmpty {
            text += "unique:\n"
            for set in table.unique { text += "- \(list(set.map { table.columns[$0].name }))\n" }
        }
        if !table.checks.isEmpty {
            text += "check:\n"
            for check in table.checks {
                text += "- {left: \(table.columns[check.left].name), "
                text += "op: '\(check.comparison.rawValue)', "
                text += "right: \(table.columns[check.right].name)}\n"
            }
        }
        writeReferences(of: table, constraints)
    }

    private mutating func writeReferences(of table: Table, _ constraints: [KeyConstraint]) {
        var isFirst = true
        for slot in table.slots {
            guard case .reference(let rejectMissing) = slot.role else { continue }
            if isFirst { text += "references:\n" }
            isFirst = false
            let constraint = constraints[slot.constraint]
            text += "- {from: \(list(slot.columns.map { table.columns[$0].name })), "
            text += "table: \(constraint.table), columns: \(list(constraint.columns))"
            text += rejectMissing ? "}\n" : ", onMissing: accept}\n"
        }
    }

    private mutating func write(_ column: Column) {
        text += "- name: \(column.name)\n  type: \(column.type)\n"
        func line(_ key: String, _ value: String?) {
            if let value { text += "  \(key): \(value)\n" }
        }
        func value(_ value: ScalarValue) -> String { quoted(value.text(type: column.type)) }
        line("doc", column.doc.isEmpty ? nil : quoted(column.doc))
        line("optional", column.isOptional ? "true" : nil)
        line("default", column.defaultValue.map(value))
        line("maxLength", column.maxLength.map(String.init))
        line("pattern", column.pattern.map { quoted($0.text) })
        line("min", column.minimum.map(value))
        line("max", column.maximum.map(value))
        line("oneOf", column.oneOf.map { list($0.map(value)) })
        line("alias", column.aliases.isEmpty ? nil : list(column.aliases.map(quoted)))
    }

    mutating func write(_ aggregate: Aggregate, of tables: [Table]) {
        start("aggregate", aggregate.name, aggregate.doc)
        text += "from: \(aggregate.table)\ngroupBy:\n"
        for group in aggregate.groups { text += "  \(group.name): \(expression(group))\n" }
        text += "measures:\n"
        for measure in aggregate.measures {
            text += "  \(measure.name): \(measure.function.rawValue)"
            text += measure.column.map { "(\($0))\n" } ?? "\n"
        }
        if let condition = aggregate.condition {
            guard
                let column = tables.first(where: { $0.name == aggregate.table })?.columns
                    .first(where: { $0.name == condition.column })
            else { preconditionFailure("a condition names a column of the aggregate's table") }
            text += "where: {left: \(condition.column), op: '\(condition.comparison.rawValue)', "
            text += "right: \(quoted(condition.value.text(type: column.type)))}\n"
        }
        if aggregate.timeZone != Aggregate.universalTime {
            text += "timeZone: \(aggregate.timeZone)\n"
        }
    }

    private func expression(_ group: Aggregate.Group) -> String {
        switch group.function {
        case nil: group.column
        case .bucket(let seconds):
            "bucket(\(group.column), \(Aggregate.TimeFunction.widthText(seconds: seconds)))"
        case .some(let function): "\(function.name)(\(group.column))"
        }
    }

    // MARK: YAML

    private mutating func start(_ kind: String, _ name: String, _ doc: String) {
        text += "---\n\(kind): \(name)\n"
        if !doc.isEmpty { text += "doc: \(quoted(doc))\n" }
    }

    private func list(_ items: [String]) -> String { "[\(items.joined(separator: ", "))]" }

    /// Single quotes keep all characters but those that YAML does not print.
    private func quoted(_ value: String) -> String {
        if value.unicodeScalars.allSatisfy(Self.isPrintable) {
            return "'"
                + value.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "''") + "'"
        }
        var quoted = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\" + String(scalar)
            case "\n": quoted += "\\n"
            case _ where Self.isPrintable(scalar): quoted.unicodeScalars.append(scalar)
            default: quoted += "\\u" + FixedWidthHex.text(scalar.value, digitCount: 4)
            }
        }
        return quoted + "\""
    }

    /// Printable and no line break, by YAML 1.1 (5.1 and 5.4), which libyaml reads.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E, 0xA0...0x2027, 0x202A...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD: true
        case 0x1_0000...0x10_FFFF: true
        default: false
        }
    }
}

extension SHA256Digest {
    /// 64 lower-case hexadecimal digits.
    var hexText: String {
        map { FixedWidthHex.text(UInt32($0), digitCount: 2) }.joined()
    }
}

enum FixedWidthHex {
    /// Lower-case hexadecimal digits with zeros in front.
    static func text(_ value: UInt32, digitCount: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digitCount - digits.count)) + digits
    }
}
