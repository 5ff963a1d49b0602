import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// A dictionary or a report that somebody wrote: a byte of choice, then the text.
enum DictionaryTarget {
    static func run(_ input: inout FuzzInput) throws {
        switch input.byte() & 3 {
        case 0, 1: try dictionary(files(input.rest))
        case 2: try report(text(input.rest))
        default: try kept(text(input.rest))
        }
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes, as: UTF8.self)
    }

    /// Files with a line `%%` between them.
    private static func files(_ bytes: UnsafeRawBufferPointer) -> [(name: String, text: String)] {
        let texts = text(bytes).split(separator: "%%\n", omittingEmptySubsequences: false)
        return texts.enumerated().map { ("file\($0).yaml", String($1)) }
    }

    private static func dictionary(_ files: [(name: String, text: String)]) throws {
        let catalog: Catalog
        do {
            catalog = try CatalogLoader.load(files: files)
        } catch {
            return try mistakes(error)
        }
        try use(catalog)
    }

    /// The text that a log keeps of a catalog.
    private static func kept(_ text: String) throws {
        let catalog: Catalog
        do {
            catalog = try CatalogLoader.load(text: text)
        } catch {
            return try mistakes(error)
        }
        try use(catalog)
    }

    private static func mistakes(_ error: CatalogError) throws {
        guard case .mistakes(let diagnostics) = error else { return }
        try require(!diagnostics.isEmpty, "who refuses says why")
        for diagnostic in diagnostics {
            try require(
                diagnostic.line >= 1 && diagnostic.column >= 1 && !diagnostic.problem.isEmpty,
                "a mistake has a place: \(diagnostic)")
        }
    }

    /// All that a server does with a catalog when it starts.
    private static func use(_ catalog: Catalog) throws {
        let again: Catalog
        do {
            again = try CatalogLoader.load(text: catalog.text)
        } catch {
            throw FuzzFault("the text of a catalog cannot be read: \(error)")
        }
        try require(
            again.text == catalog.text && again.version == catalog.version,
            "a catalog's text means that catalog")
        let schema = try LogSchema(recordSchemas: catalog.tables.map(\.avroSchema))
        try require(schema.tables.count == catalog.tables.count, "a branch for every table")
        for table in catalog.tables {
            let record = try AvroSchema(json: table.avroSchema)
            try require(try AvroSchema(json: record.json) == record, "a schema's text is that one")
            let ddl = table.ddl(schema: "public")
            try require(
                !ddl.createTable.utf8.contains(0)
                    && !ddl.commentStatements.contains { $0.utf8.contains(0) },
                "what Postgres is told has no NUL")
            let judge = Judge(
                table: table, constraints: catalog.constraints,
                fingerprintKey: FingerprintKey(bytes: [UInt8](0..<16)))
            let check = try BatchCheck(judge)
            try check.run(judge.judgeJSON(Bytes(Array("[{}]".utf8))))
            if let batch = try? judge.judgeCSV(Bytes(Array("1,2\n".utf8)), header: .absent) {
                try check.run(batch)
            }
        }
    }

    private static func report(_ text: String) throws {
        let reports: [Report]
        do {
            reports = try ReportLoader.load(files: [("reports/some.sql", text)])
        } catch {
            return try mistakes(error)
        }
        for report in reports {
            try require(!report.title.isEmpty, "a report has a title")
            _ = try? report.arguments([])
            try require(
                !report.sql.utf8.contains(0), "what Postgres is asked has no NUL")
        }
    }
}
