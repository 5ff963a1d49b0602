import DaybookCatalog
import DaybookLog
import Foundation
import Testing

@testable import DaybookLedger

/// A backup is judged by the dictionary that it was made under.
@Suite("Past dictionaries")
struct PastCatalogsTests {
    @Test("The log gives the dictionary of a version, and none for one that it never had")
    func versions() async throws {
        func dictionary(_ columns: [String]) -> String {
            "table: goods\nkey: [id]\ncolumns:\n  - {name: id, type: integer}\n"
                + columns.map { "  - {name: \($0), type: string, optional: true}\n" }.joined()
        }
        let texts = [[], ["a"], ["a", "b"]].map(dictionary)
        var starts: [Position] = [0]
        let old = try Bench(texts[0])
        try await old.append("goods", #"[{"id":1},{"id":2}]"#)
        old.close()
        for text in texts[1...] {
            starts.append(old.log.durable.position)
            let next = try Bench(text, log: old.log, folder: old.folder)
            try await next.append("goods", #"[{"id":\#(starts.count * 10)}]"#)
            next.close()
        }
        for text in texts {
            let catalog = try CatalogLoader.load(text: text)
            let found = try PastCatalogs.catalog(
                version: catalog.version, of: old.log, segmentStarts: starts)
            #expect(found?.version == catalog.version)
            #expect(
                found?.table(named: "goods")?.avroSchema
                    == catalog.table(named: "goods")?.avroSchema)
        }
        let absent = try CatalogLoader.load(text: dictionary(["c"])).version
        #expect(
            try PastCatalogs.catalog(version: absent, of: old.log, segmentStarts: starts) == nil)
    }
}
