import Foundation
import TestSupport
import Testing

@testable import DaybookCatalog

/// The examples of docs/dictionary.md: blocks that are indented by four spaces.
private struct DictionaryPage {
    /// What begins with `# projections/NAME`, by that name.
    var good: [(name: String, text: String)] = []
    /// What begins with `# not so: projections/NAME`, and the message below it.
    var wrong: [(name: String, text: String, message: String)] = []

    init() throws {
        let text = try String(
            contentsOfFile: "\(packageRoot)/docs/dictionary.md", encoding: .utf8)
        var blocks: [[String]] = []
        var isOpen = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("    ") else {
                isOpen = false
                continue
            }
            if !isOpen { blocks.append([]) }
            isOpen = true
            blocks[blocks.count - 1].append(String(line.dropFirst(4)))
        }
        for (index, block) in blocks.enumerated() {
            let text = block.joined(separator: "\n") + "\n"
            if block[0].hasPrefix("# projections/") {
                good.append((String(block[0].dropFirst(2)), text))
            } else if block[0].hasPrefix("# not so: ") {
                let message = try #require(blocks.dropFirst(index + 1).first, "\(block[0])")
                wrong.append(
                    (
                        String(block[0].dropFirst("# not so: ".count)), text,
                        // A line that goes on is indented.
                        message.joined(separator: "\n").replacing("\n  ", with: " ")
                    ))
            }
        }
    }
}

@Suite("The page about the dictionary")
struct DictionaryPageTests {
    @Test("Its examples load, as one dictionary, and use every key, type and function")
    func good() throws {
        let page = try DictionaryPage()
        let catalog = try CatalogLoader.load(files: page.good)
        #expect(catalog.tables.count + catalog.aggregates.count == page.good.count)
        #expect(page.good.count >= 6)
        let text = page.good.map(\.text).joined()
        let keys =
            TableReader.keys + ColumnReader.keys + AggregateReader.keys
            + ["from", "onMissing", "left", "op", "right", "name"]
        for key in Set(keys) {
            #expect(text.contains("\(key):"), "no example has \(key)")
        }
        let types = Set(catalog.tables.flatMap(\.columns).map { column in
            String(column.type.description.prefix { $0 != "(" })
        })
        #expect(types == Set(ColumnType.names.map { String($0.prefix { $0 != "(" }) }))
    }

    @Test("Its mistakes give the messages that it quotes, and no others")
    func wrong() throws {
        let page = try DictionaryPage()
        #expect(page.wrong.count >= 6)
        for example in page.wrong {
            let others = page.good.filter { $0.name != example.name }
            var message = ""
            do {
                _ = try CatalogLoader.load(files: others + [(example.name, example.text)])
            } catch {
                message = error.description
            }
            #expect(message == example.message, "\(example.name)")
        }
    }

    @Test("It says every rule, type, function and name that is taken, and every code of a row")
    func complete() throws {
        let text = try String(
            contentsOfFile: "\(packageRoot)/docs/dictionary.md", encoding: .utf8)
        let functions = Aggregate.TimeFunction.plain.map(\.name)
        let words =
            TableReader.keys + ColumnReader.keys + AggregateReader.keys + ColumnType.names
            + functions + Naming.reservedTables + Comparison.allCases.map(\.rawValue)
        for word in words {
            #expect(
                text.contains("`\(word)`") || text.contains("`\(word):"),
                "docs/dictionary.md does not say \(word)")
        }
    }
}
