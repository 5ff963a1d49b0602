import Yams

/// Reads the type and the rules of one column, and tells where they contradict each other.
struct ColumnReader {
    let reader: DefinitionReader
    let name: Located<String>

    static let keys = [
        "type", "doc", "optional", "default", "maxLength", "pattern", "min", "max", "oneOf",
        "references", "alias",
    ]

    func column(_ fields: Fields) -> Column? {
        guard let type = reader.columnType(fields, of: "column `\(name.value)`") else { return nil }
        let pattern = pattern(fields, type)
        let maxLength = fields.count("maxLength")
        if maxLength != nil && type != .string { reportMisplaced("maxLength", fields, type) }
        let minimum = bound("min", fields, type)
        let maximum = bound("max", fields, type)
        if let minimum, let maximum, maximum.value.precedes(minimum.value) {
            reader.report(minimum.place, "`min` is above `max`", "exchange them")
        }
        let rules = ColumnRules(
            maxLength: maxLength, pattern: pattern, minimum: minimum?.value,
            maximum: maximum?.value)
        let oneOf = oneOf(fields, type, rules)
        return Column(
            name: name.value, doc: fields.text("doc")?.value ?? "", type: type,
            isOptional: fields.flag("optional"),
            defaultValue: defaultValue(fields, type, rules, oneOf), maxLength: maxLength,
            pattern: pattern, minimum: minimum?.value, maximum: maximum?.value, oneOf: oneOf,
            aliases: aliases(fields))
    }

    private func pattern(_ fields: Fields, _ type: ColumnType) -> Pattern? {
        guard let text = fields.text("pattern") else { return nil }
        if type != .string { reportMisplaced("pattern", fields, type) }
        do {
            return try Pattern(text.value)
        } catch {
            reader.report(text.place, error.description, "write it in RE2's syntax")
            return nil
        }
    }

    private func bound(
        _ key: String, _ fields: Fields, _ type: ColumnType
    ) -> Located<ScalarValue>? {
        guard let text = fields.text(key) else { return nil }
        guard type.isOrdered && type != .string else {
            reportMisplaced(key, fields, type)
            return nil
        }
        return reader.value(text, of: type)
    }

    private func oneOf(
        _ fields: Fields, _ type: ColumnType, _ rules: ColumnRules
    ) -> [ScalarValue]? {
        guard let texts = fields["oneOf"].flatMap({ reader.texts($0, of: "`oneOf`") }) else {
            return nil
        }
        if texts.isEmpty {
            reader.report(
                fields.place(of: "oneOf"), "`oneOf` allows no value", "write at least one")
        }
        var values: [ScalarValue] = []
        for text in texts {
            guard let value = reader.value(text, of: type)?.value else { continue }
            if values.contains(value) {
                reader.report(text.place, "`\(text.value)` stands twice", "keep one of them")
            } else if let rule = rules.firstBroken(by: value) {
                reader.report(
                    text.place, "`\(text.value)` breaks the column's own `\(rule)`",
                    "mend one of the two")
            }
            values.append(value)
        }
        return values
    }

    private func defaultValue(
        _ fields: Fields, _ type: ColumnType, _ rules: ColumnRules, _ oneOf: [ScalarValue]?
    ) -> ScalarValue? {
        guard let text = fields.text("default"), let value = reader.value(text, of: type)?.value
        else { return nil }
        let notListed = oneOf.map { !$0.contains(value) } ?? false
        if let rule = rules.firstBroken(by: value) ?? (notListed ? "oneOf" : nil) {
            reader.report(
                text.place, "the default `\(text.value)` breaks the column's own `\(rule)`",
                "mend one of the two")
        }
        return value
    }

    private func aliases(_ fields: Fields) -> [String] {
        let texts = fields["alias"].flatMap { reader.oneOrMoreTexts($0, of: "`alias`") } ?? []
        for text in texts where text.value.isEmpty || text.value.utf8.count > 256 {
            reader.report(text.place, "an alias is empty or long", "write 1 to 256 bytes")
        }
        return texts.map(\.value)
    }

    private func reportMisplaced(_ rule: String, _ fields: Fields, _ type: ColumnType) {
        reader.report(
            fields.place(of: rule), "`\(rule)` says nothing about a column of type \(type)",
            "remove it, or change the type")
    }
}

/// The rules that a default and the values of an enumeration must keep as every row does.
struct ColumnRules {
    let maxLength: Int?
    let pattern: Pattern?
    let minimum: ScalarValue?
    let maximum: ScalarValue?

    /// The name of the first rule that `value` breaks.
    func firstBroken(by value: ScalarValue) -> String? {
        if let minimum, value.precedes(minimum) { return "min" }
        if let maximum, maximum.precedes(value) { return "max" }
        guard case .string(var text) = value else { return nil }
        if let maxLength, text.unicodeScalars.count > maxLength { return "maxLength" }
        if let pattern, !text.withUTF8({ pattern.matches(UnsafeRawBufferPointer($0)) }) {
            return "pattern"
        }
        return nil
    }
}

extension DefinitionReader {
    /// A text as a value of a column's type.
    func value(_ text: Located<String>, of type: ColumnType) -> Located<ScalarValue>? {
        do {
            return Located(
                value: try ScalarValue(text: text.value, type: type), place: text.place)
        } catch {
            report(text.place, "`\(text.value)` is no \(type)", "write \(type.example)")
            return nil
        }
    }
}

extension DefinitionReader {
    /// The type that `fields` names.
    func columnType(_ fields: Fields, of what: String) -> ColumnType? {
        guard fields["type"] != nil else {
            report(
                fields.place, "\(what) has no `type`",
                "the types are \(ColumnType.names.joined(separator: ", "))")
            return nil
        }
        guard let text = fields.text("type") else { return nil }
        do {
            return try ColumnType(dictionaryText: text.value)
        } catch {
            report(text.place, error.problem, error.remedy)
            return nil
        }
    }
}

extension ScalarValue {
    /// Whether it comes before `other`, a value of the same type.
    func precedes(_ other: ScalarValue) -> Bool {
        switch (self, other) {
        case (.integer(let left), .integer(let right)): left < right
        case (.number(let left), .number(let right)): left < right
        case (.decimal(let left), .decimal(let right)): left < right
        case (.date(let left), .date(let right)): left < right
        case (.timestamp(let left), .timestamp(let right)): left < right
        default: false
        }
    }
}
