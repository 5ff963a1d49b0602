import Foundation
import Postgres
import Testing

@Suite("Migrations")
struct MigrationTests {
    private typealias File = Migrations.File

    private static func expect(
        _ file: String, _ expected: String, _ body: () throws -> Void
    ) throws {
        let error = try #require(throws: PostgresError.self) { try body() }
        guard case .migration(file, let problem) = error else {
            Issue.record("another error: \(error)")
            return
        }
        #expect("\(problem)".hasPrefix(expected), "\(problem)")
    }

    @Test("Files are applied once, in order, each noted")
    func order() async throws {
        let schema = TestCluster.freshName("migrations")
        try await TestCluster.withConnection { connection in
            let first = File(
                name: "0001_table.sql", text: "CREATE TABLE \(schema).t (n bigint);\n-- ü\n")
            let second = File(
                name: "0002_rows.sql",
                text: "INSERT INTO \(schema).t VALUES (1); INSERT INTO \(schema).t VALUES (2)")
            let begun = try Migrations([first], schema: schema)
            #expect(try begun.apply(on: connection) == ["0001_table.sql"])
            let all = try Migrations([second, first], schema: schema)
            #expect(try all.apply(on: connection) == ["0002_rows.sql"])
            #expect(try all.apply(on: connection) == [])
            let rows = try connection.query("SELECT n FROM \(schema).t ORDER BY n")
            #expect(rows.map { $0.int64(0) } == [1, 2])
        }
    }

    @Test("A changed file, a missing one and one that comes late are refused by name")
    func history() async throws {
        let schema = TestCluster.freshName("migrations")
        try await TestCluster.withConnection { connection in
            let one = File(name: "0001_a.sql", text: "SELECT 1")
            let three = File(name: "0003_c.sql", text: "SELECT 3")
            try Migrations([one, three], schema: schema).apply(on: connection)

            try Self.expect("0001_a.sql", "it has been applied and was changed") {
                let changed = File(name: "0001_a.sql", text: "SELECT 1 ")
                try Migrations([changed, three], schema: schema).apply(on: connection)
            }
            try Self.expect("0003_c.sql", "the database has applied it") {
                try Migrations([one], schema: schema).apply(on: connection)
            }
            try Self.expect("0002_b.sql", "a file with a higher number") {
                let late = File(name: "0002_b.sql", text: "SELECT 2")
                try Migrations([one, late, three], schema: schema).apply(on: connection)
            }
        }
    }

    @Test("A file that fails leaves nothing, and those before it stay")
    func failure() async throws {
        let schema = TestCluster.freshName("migrations")
        try await TestCluster.withConnection { connection in
            let good = File(name: "0001_a.sql", text: "CREATE TABLE \(schema).a (n int)")
            let bad = File(
                name: "0002_b.sql",
                text: "CREATE TABLE \(schema).b (n int);\n\nCREATE TABLE oops oops")
            try Self.expect("0002_b.sql", "line 3: Postgres error 42601") {
                try Migrations([good, bad], schema: schema).apply(on: connection)
            }
            let tables = try connection.query(
                "SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", [.text(schema)])
            #expect(tables.map { $0.text(0) } == ["a", "migrations"])
            let applied = try connection.query("SELECT name FROM \(schema).migrations")
            #expect(applied.map { $0.text(0) } == ["0001_a.sql"])
            try Self.expect("0002_b.sql", "it ends the transaction") {
                let ending = File(name: "0002_b.sql", text: "SELECT 1; COMMIT")
                try Migrations([good, ending], schema: schema).apply(on: connection)
            }
        }
    }

    @Test("Names that are not NNNN_name.sql, and numbers taken twice, are refused")
    func names() throws {
        let bad = ["1_a.sql", "0001.sql", "0001_.sql", "0001_a.txt", "00a1_a.sql", "٠٠٠١_a.sql"]
        for name in bad {
            try Self.expect(name, "its name is not") {
                _ = try Migrations([File(name: name, text: "")], schema: "s")
            }
        }
        try Self.expect("0001_b.sql", "another file has the same number") {
            _ = try Migrations(
                [File(name: "0001_a.sql", text: ""), File(name: "0001_b.sql", text: "")],
                schema: "s")
        }
    }

    @Test("Two starters at a time apply each file once between them")
    func twoStarters() async throws {
        let schema = TestCluster.freshName("migrations")
        let files = (1...5).map { number in
            File(
                name: "000\(number)_step.sql",
                text: "SELECT pg_sleep(0.02); CREATE TABLE \(schema).t\(number) (n int)")
        }
        let applied = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await TestCluster.withConnection { connection in
                        try Migrations(files, schema: schema).apply(on: connection)
                    }
                }
            }
            return try await group.reduce([], +)
        }
        #expect(applied.sorted() == files.map(\.name))
    }

    @Test("The folder sql/migrations applies, and every table and its columns are explained")
    func shipped() async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let folder = root.appending(path: "sql/migrations").path
        try await TestCluster.withConnection { connection in
            let applied = try Migrations(folder: folder, schema: "daybook").apply(on: connection)
            #expect(applied.first == "0001_daybook.sql")
            let tables = try connection.query(
                """
                SELECT relname, obj_description(oid) FROM pg_class
                WHERE relnamespace = 'daybook'::regnamespace AND relkind = 'r' ORDER BY relname
                """)
            #expect(
                tables.map { $0.text(0) } == [
                    "batches", "checkpoints", "migrations", "rebuild_pieces", "rebuilds",
                    "rejection_closings", "rejection_codes", "rejections",
                    "retractions",
                ])
            #expect(tables.allSatisfy { $0.text(1) != nil })
            #expect(throws: PostgresError.self) {
                try connection.execute(
                    """
                    INSERT INTO daybook.rejections VALUES (0, gen_random_uuid(), 't', NULL, 1,
                        now(), NULL, '', 0, '[]', 'unheard-of')
                    """)
            }
        }
    }
}
