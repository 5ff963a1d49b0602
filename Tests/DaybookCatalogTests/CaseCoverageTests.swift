import Foundation
import TestSupport
import Testing

@testable import DaybookCatalog

@Suite("Cases of rows and the dictionary")
struct CaseCoverageTests {
    private let folder = "\(packageRoot)/Tests/IntegrationTests/cases"

    @Test("The case files have a line about every rule that a table or a column may have")
    func rules() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        let headings = try names.filter { $0.hasSuffix(".txt") }.flatMap { name in
            try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
                .split(separator: "\n").filter { $0.hasPrefix("@") }
        }
        // These say what a table or column is, and nothing about which rows are good.
        let descriptive: Set<String> = ["table", "doc", "columns", "type"]
        for rule in Set(TableReader.keys + ColumnReader.keys).subtracting(descriptive) {
            #expect(headings.contains { $0.contains("`\(rule)`") }, "no case is about \(rule)")
        }
    }

    @Test("Their dictionary uses every key and every type, and every comparison")
    func dictionary() throws {
        let catalog = try CatalogLoader.load(folder: "\(folder)/projections")
        let types = Set(catalog.tables.flatMap(\.columns).map { column in
            String(column.type.description.prefix { $0 != "(" })
        })
        #expect(types == Set(ColumnType.names.map { String($0.prefix { $0 != "(" }) }))
        let used = Set(catalog.tables.flatMap(\.checks).map(\.comparison))
        #expect(used == Set(Comparison.allCases))
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/projections")
        let text = try names.map {
            try String(contentsOfFile: "\(folder)/projections/\($0)", encoding: .utf8)
        }.joined()
        for key in Set(TableReader.keys + ColumnReader.keys + ["from", "onMissing", "left", "op"]) {
            #expect(text.contains("\(key):"), "no table of the cases has \(key)")
        }
    }
}
