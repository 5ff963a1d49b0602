import Yams

/// Reads the YAML of one definition and reports what is not of the shape that was asked for.
///
/// Scalars are read as text, whatever YAML would take them for: the column's type decides.
struct DefinitionReader {
    let file: String
    let diagnostics: DiagnosticList

    func place(of node: Node) -> Place {
        Place(file: file, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
    }

    func report(_ place: Place, _ problem: String, _ remedy: String) {
        diagnostics.report(place, problem, remedy)
    }

    /// The mapping `node` with only the keys of `known`; `what` says what it is ("a column").
    func fields(_ node: Node, of what: String, known: [String]) -> Fields? {
        guard case .mapping(let mapping) = node else {
            report(place(of: node), "\(what) is not a mapping", "write it as `key: value` pairs")
            return nil
        }
        var entries: [String: (key: Place, value: Node)] = [:]
        for (keyNode, value) in mapping {
            let keyPlace = place(of: keyNode)
            guard case .scalar(let scalar) = keyNode else {
                report(keyPlace, "a key is not a single word", "write `key: value`")
                continue
            }
            let key = scalar.string
            if !known.contains(key) {
                let remedy = Naming.suggestion(for: key, among: known, kind: "its keys")
                report(keyPlace, "\(what) has no `\(key)`", remedy)
            } else if entries.updateValue((keyPlace, value), forKey: key) != nil {
                report(keyPlace, "`\(key)` stands twice", "keep one of them")
            }
        }
        return Fields(reader: self, place: place(of: node), entries: entries)
    }

    /// A single value as text. An empty one has to be quoted, so that none is left out by mistake.
    func text(_ node: Node, of what: String) -> Located<String>? {
        let place = place(of: node)
        guard case .scalar(let scalar) = node else {
            report(place, "\(what) is not a single value", "write one value")
            return nil
        }
        if scalar.string.isEmpty && (scalar.style == .plain || scalar.style == .any) {
            report(place, "\(what) has no value", "write one, in quotes if it starts with a sign")
            return nil
        }
        if scalar.string.utf8.contains(0) {
            report(place, "\(what) holds a zero byte", "remove it: Postgres has no text with one")
            return nil
        }
        return Located(value: scalar.string, place: place)
    }

    /// A list of single values.
    func texts(_ node: Node, of what: String) -> [Located<String>]? {
        guard case .sequence(let sequence) = node else {
            report(place(of: node), "\(what) is not a list", "write `[a, b]`")
            return nil
        }
        return sequence.compactMap { text($0, of: "an item of \(what)") }
    }

    /// A list of single values, where one value alone stands for a list of it.
    func oneOrMoreTexts(_ node: Node, of what: String) -> [Located<String>]? {
        if case .scalar = node { return text(node, of: what).map { [$0] } }
        return texts(node, of: what)
    }

    /// A list of definitions, where one alone stands for a list of it.
    func oneOrMore(_ node: Node) -> [Node] {
        if case .sequence(let sequence) = node { return Array(sequence) }
        return [node]
    }

    /// A name of a table, column, aggregate or measure.
    func name(_ node: Node, of what: String) -> Located<String>? {
        guard let text = text(node, of: what) else { return nil }
        guard Naming.isValid(text.value) else {
            report(text.place, "`\(text.value)` is no name", Naming.rule)
            return nil
        }
        return text
    }
}

/// The keys of one mapping, each with its value and place.
struct Fields {
    let reader: DefinitionReader
    let place: Place
    fileprivate let entries: [String: (key: Place, value: Node)]

    subscript(key: String) -> Node? { entries[key]?.value }

    /// Where the key stands, or the mapping if it does not have it.
    func place(of key: String) -> Place { entries[key]?.key ?? place }

    func text(_ key: String) -> Located<String>? {
        self[key].flatMap { reader.text($0, of: "`\(key)`") }
    }

    func flag(_ key: String) -> Bool {
        guard let text = text(key) else { return false }
        switch text.value {
        case "true": return true
        case "false": return false
        default:
            reader.report(text.place, "`\(text.value)` is no truth value", "write true or false")
            return false
        }
    }

    /// A whole number of at least 1.
    func count(_ key: String) -> Int? {
        guard let text = text(key) else { return nil }
        guard let value = Int(text.value), value > 0, value <= Int(Int32.max) else {
            reader.report(
                text.place, "`\(key)` is not a whole number above 0", "write one such as 255")
            return nil
        }
        return value
    }

    /// One of the words of an enumeration.
    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, _ type: Choice.Type
    ) -> Choice? where Choice.RawValue == String {
        guard let text = text(key) else { return nil }
        if let choice = Choice(rawValue: text.value) { return choice }
        let known = Choice.allCases.map(\.rawValue)
        reader.report(
            text.place, "`\(key)` cannot be `\(text.value)`",
            "write \(known.map { "`\($0)`" }.joined(separator: ", "))")
        return nil
    }
}
