import Foundation
import Yams

/// Reads the dictionary: YAML files of one definition each, or the canonical text of a catalog.
public enum CatalogLoader {
    /// A file with more is refused before it is parsed.
    static let fileByteCountMax = 1 << 20
    /// An alias repeats what its anchor names, so a few lines of them could stand for 10^30 values.
    /// With these limits the values are at most (32 / 4)^4 times those that the text has.
    static let anchorCountMax = 4
    static let aliasCountMax = 32

    /// Reads every `.yaml` and `.yml` file of `folder` (usually `projections`), not of its
    /// subfolders.
    ///
    /// Throws `CatalogError.mistakes` with all that is wrong in any of them,
    /// `.noDefinitions` if there is no such file, `.unreadable` if the system refuses one.
    public static func load(folder: String) throws(CatalogError) -> Catalog {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw .unreadable(path: folder, reason: error.localizedDescription)
        }
        let kept = names.filter {
            !$0.hasPrefix(".") && ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml"))
        }
        guard !kept.isEmpty else { throw .noDefinitions(folder: folder) }
        let diagnostics = DiagnosticList()
        var drafts: [Draft] = []
        for name in kept.sorted() {
            let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
            guard let data = FileManager.default.contents(atPath: path) else {
                throw .unreadable(path: path, reason: "the file cannot be opened")
            }
            guard let text = String(validating: data, as: UTF8.self) else {
                diagnostics.report(
                    Place(file: path, line: 1, column: 1), "the file is not UTF-8",
                    "save it in that encoding")
                diagnostics.lacksDefinition = true
                continue
            }
            let file = FileReader(name: path, diagnostics: diagnostics)
            drafts += file.drafts(ofFile: text)
        }
        return try build(drafts, diagnostics)
    }

    /// Reads files that are in memory, one definition each; `name` stands in diagnostics.
    ///
    /// Throws as `load(folder:)` does.
    public static func load(
        files: [(name: String, text: String)]
    ) throws(CatalogError) -> Catalog {
        guard !files.isEmpty else { throw .noDefinitions(folder: "the dictionary") }
        let diagnostics = DiagnosticList()
        let drafts = files.flatMap {
            FileReader(name: $0.name, diagnostics: diagnostics).drafts(ofFile: $0.text)
        }
        return try build(drafts, diagnostics)
    }

    /// Reads `Catalog.text` again: one document a definition.
    ///
    /// Throws as `load(folder:)` does; the text's name in diagnostics is `catalog`.
    public static func load(text: String) throws(CatalogError) -> Catalog {
        let diagnostics = DiagnosticList()
        let file = FileReader(name: "catalog", diagnostics: diagnostics)
        return try build(file.drafts(of: text, documentCountMax: .max), diagnostics)
    }

    private static func build(
        _ drafts: [Draft], _ diagnostics: DiagnosticList
    ) throws(CatalogError) -> Catalog {
        try CatalogBuilder(drafts, diagnostics).build()
    }
}

/// Reads the documents of one file.
struct FileReader {
    let name: String
    let diagnostics: DiagnosticList

    var start: Place { Place(file: name, line: 1, column: 1) }

    /// The definition of a file that someone wrote.
    func drafts(ofFile text: String) -> [Draft] {
        guard isBounded(text) else {
            diagnostics.lacksDefinition = true
            return []
        }
        return drafts(of: text, documentCountMax: 1)
    }

    func drafts(of text: String, documentCountMax: Int) -> [Draft] {
        var roots: [Node] = []
        do {
            let parser = try Parser(yaml: text, encoding: .utf8)
            while let root = try parser.nextRoot() {
                guard roots.count < documentCountMax else {
                    diagnostics.report(
                        DefinitionReader(file: name, diagnostics: diagnostics).place(of: root),
                        "the file has a second document", "write one definition a file")
                    break
                }
                roots.append(root)
            }
            if roots.isEmpty {
                diagnostics.report(
                    start, "the file has no definition",
                    "start it with `table: name` or `aggregate: name`")
            }
        } catch {
            report(error)
            diagnostics.lacksDefinition = true
        }
        let drafts = roots.compactMap(draft)
        if drafts.count < roots.count { diagnostics.lacksDefinition = true }
        return drafts
    }

    private func draft(of root: Node) -> Draft? {
        let reader = DefinitionReader(file: name, diagnostics: diagnostics)
        guard case .mapping(let mapping) = root else {
            diagnostics.report(
                reader.place(of: root), "the definition is not a mapping",
                "start it with `table: name` or `aggregate: name`")
            return nil
        }
        let keys = mapping.keys.compactMap { $0.scalar?.string }
        switch (keys.contains("table"), keys.contains("aggregate")) {
        case (true, false):
            return TableReader(reader: reader).table(root).map(Draft.table)
        case (false, true):
            return AggregateReader(reader: reader).aggregate(root).map(Draft.aggregate)
        case (true, true):
            diagnostics.report(
                reader.place(of: root), "the definition is a table and an aggregate",
                "write one definition a file")
        case (false, false):
            diagnostics.report(
                reader.place(of: root), "the definition is neither a table nor an aggregate",
                "start it with `table: name` or `aggregate: name`")
        }
        return nil
    }

    /// Refuses, before parsing, what could take memory or time out of proportion.
    func isBounded(_ text: String) -> Bool {
        guard text.utf8.count <= CatalogLoader.fileByteCountMax else {
            diagnostics.report(
                start, "the file is larger than \(CatalogLoader.fileByteCountMax) bytes",
                "a definition needs a few kilobytes")
            return false
        }
        var anchorCount = 0
        var aliasCount = 0
        var startsToken = true
        for byte in text.utf8 {
            if startsToken && byte == UInt8(ascii: "&") { anchorCount += 1 }
            if startsToken && byte == UInt8(ascii: "*") { aliasCount += 1 }
            startsToken = byte <= 0x20 || ",:[]{}-?".utf8.contains(byte)
        }
        guard
            anchorCount == 0 || aliasCount == 0
                || (anchorCount <= CatalogLoader.anchorCountMax
                    && aliasCount <= CatalogLoader.aliasCountMax)
        else {
            diagnostics.report(
                start, "the file has \(anchorCount) anchors and \(aliasCount) aliases",
                "use at most \(CatalogLoader.anchorCountMax) and \(CatalogLoader.aliasCountMax)")
            return false
        }
        return true
    }

    func report(_ error: any Error) {
        let remedy = "mend it; text with quotes, `:`, `#` or a sign in front stands in quotes"
        guard let error = error as? YamlError else {
            return diagnostics.report(start, "\(error)", remedy)
        }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            diagnostics.report(place(mark), "the YAML does not parse: \(problem)", remedy)
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.map { "`\($0)`" }.joined(separator: ", ")
            diagnostics.report(place(context.mark), "\(names) stands twice", "keep one of them")
        case .reader(let problem, _, _, _):
            diagnostics.report(
                start, "the YAML does not parse: \(problem)", "remove that character")
        default:
            diagnostics.report(start, "the YAML does not parse: \(error)", remedy)
        }
    }

    private func place(_ mark: Mark) -> Place {
        Place(file: name, line: mark.line, column: mark.column)
    }
}
