import Foundation
import Yams

/// The header of a report: the comment lines that the file begins with, which are YAML behind
/// their `--`, read as the dictionary's files are.
struct ReportHeader {
    /// A parameter as the header has it.
    struct Draft {
        let name: Located<String>
        /// Absent if its type or default was wrong, which was reported.
        let parameter: Report.Parameter?
    }

    private(set) var title = ""
    private(set) var doc = ""
    private(set) var parameters: [Draft] = []
    private(set) var chart: Report.Chart?

    private static let keys = ["title", "doc", "parameters", "chart"]
    private static let example = "begin the file with `-- title: …`"

    /// Reads the header of a report's text; mistakes go to the file's diagnostics.
    init(file: FileReader, text: String) {
        let yaml = ReportHeader.yaml(of: text)
        guard file.isBounded(text) else { return }
        guard let root = file.root(of: yaml) else {
            if yaml.allSatisfy(\.isWhitespace) {
                file.diagnostics.report(file.start, "the report has no header", Self.example)
            }
            return
        }
        let reader = DefinitionReader(file: file.name, diagnostics: file.diagnostics)
        guard let fields = reader.fields(root, of: "the header", known: Self.keys) else { return }
        if fields["title"] == nil {
            reader.report(fields.place, "the report has no `title`", Self.example)
        }
        title = Self.words("title", fields)
        doc = Self.words("doc", fields)
        parameters = fields["parameters"].map { Self.parameters($0, reader) } ?? []
        chart = fields["chart"].flatMap { Self.chart($0, reader) }
    }

    /// The comment lines at the start with spaces for their dashes, so that every place in the
    /// YAML is one in the file.
    private static func yaml(of text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.prefix { $0.hasPrefix("--") }
            .map { "  " + $0.dropFirst(2) + "\n" }.joined()
    }

    /// A text without the line end that YAML's blocks have.
    private static func words(_ key: String, _ fields: Fields) -> String {
        (fields.text(key)?.value ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func parameters(_ node: Node, _ reader: DefinitionReader) -> [Draft] {
        guard case .mapping(let mapping) = node else {
            reader.report(
                reader.place(of: node), "`parameters` is not a mapping",
                "write `year: {type: integer, default: 2021}`, a line each")
            return []
        }
        return mapping.compactMap { key, value in
            guard let name = reader.name(key, of: "a parameter") else { return nil }
            if ReportLoader.reservedParameters.contains(name.value) {
                reader.report(
                    name.place, "a parameter may not be named `\(name.value)`",
                    "that option is the interface's own; choose another name")
            }
            return Draft(name: name, parameter: parameter(name.value, value, reader))
        }
    }

    private static func parameter(
        _ name: String, _ node: Node, _ reader: DefinitionReader
    ) -> Report.Parameter? {
        let what = "parameter `\(name)`"
        guard let fields = reader.fields(node, of: what, known: ["type", "default", "doc"]),
            let type = reader.columnType(fields, of: what)
        else { return nil }
        let text = fields.text("default")
        let value = text.flatMap { reader.value($0, of: type) }
        if text != nil, value == nil { return nil }
        return Report.Parameter(
            name: name, type: type, doc: words("doc", fields),
            defaultValue: value?.value)
    }

    private static func chart(_ node: Node, _ reader: DefinitionReader) -> Report.Chart? {
        guard let fields = reader.fields(node, of: "the chart", known: ["type", "x", "y"]) else {
            return nil
        }
        for key in ["type", "x", "y"] where fields[key] == nil {
            reader.report(
                fields.place, "the chart has no `\(key)`",
                "write `{type: bar, x: department, y: hired}`")
        }
        let axes = ["x", "y"].map { key in
            fields[key].flatMap { reader.oneOrMoreTexts($0, of: "`\(key)`") }?.map(\.value) ?? []
        }
        guard let kind = fields.choice("type", Report.Chart.Kind.self) else { return nil }
        return Report.Chart(kind: kind, x: axes[0], y: axes[1])
    }
}

extension FileReader {
    /// The first document of `text`; absent if there is none or it does not parse.
    func root(of text: String) -> Node? {
        do {
            return try Parser(yaml: text, encoding: .utf8).nextRoot()
        } catch {
            report(error)
            return nil
        }
    }
}
