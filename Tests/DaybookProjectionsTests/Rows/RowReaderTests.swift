import DaybookCatalog
import DaybookLedger
import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// A table of one's own, made in a database from its dictionary and filled by SQL.
private struct Shelf {
    let catalog: Catalog
    let conninfo: String
    let table: Table

    /// - Parameter database: where it is made; a fresh one unless given.
    init(key: String, columns: [String], in database: String? = nil) async throws {
        let lines = columns.map { "  - {\($0)}" }.joined(separator: "\n")
        let text = "table: shelf\nkey: [\(key)]\ncolumns:\n\(lines)\n"
        catalog = try CatalogLoader.load(files: [("shelf.yaml", text)])
        if let database {
            conninfo = database
        } else {
            conninfo = try await TestCluster.freshDatabase()
        }
        table = try #require(catalog.table(named: "shelf"))
        let ddl = table.ddl(schema: "public")
        let connection = try PostgresConnection(.init(conninfo: conninfo))
        for statement in [ddl.createTable] + ddl.keyStatements {
            try connection.execute(statement)
        }
    }

    func fill(_ select: String) throws { _ = try psql(conninfo, "INSERT INTO shelf \(select)") }

    /// The key's columns as SQL that gives their text.
    private var keyColumns: [String] {
        table.key.isEmpty ? ["ledger_position"] : table.key.map { table.columns[$0].name }
    }

    /// Every row's position in the order of the key, as psql has it.
    func positions() throws -> [String] {
        let order = keyColumns.map { "\"\($0)\"" }.joined(separator: ", ")
        return try psql(conninfo, "SELECT ledger_position FROM shelf ORDER BY \(order)")
            .split(separator: "\n").map(String.init)
    }

    /// The key of a row as the interface reads it back.
    func key(_ page: RowPage, _ row: Int) throws -> [String] {
        let last = page.rows.columns.count - 1
        let columns = table.key.isEmpty ? [last] : table.key
        let texts = try columns.map { try #require(page.rows.value(row: row, column: $0)) }
        if table.key.isEmpty { return texts }
        return try AskedKey(texts, of: "shelf", in: catalog).values
    }

    /// The positions of the rows of every page, in order.
    func pages(_ reader: RowReader, limit: Int) async throws -> [[String]] {
        var pages: [[String]] = []
        var after: [String]?
        repeat {
            let page = try await reader.page(of: table, after: after, limit: limit)
            let last = page.rows.columns.count - 1
            pages.append(
                (0..<page.rows.rowCount).compactMap {
                    page.rows.value(row: $0, column: last)
                })
            try #require(page.rows.rowCount > 0 || !page.hasMore, "a page goes on")
            try #require(pages.count < 10_000, "pages end")
            after = page.hasMore ? try key(page, page.rows.rowCount - 1) : nil
        } while after != nil
        return pages
    }
}

@Suite("Rows in Postgres")
struct RowReaderTests {
    /// Keys of every type: the columns, and the SQL of a row's values but the position, by `n`.
    static let keys: [(key: String, columns: [String], values: String)] = [
        ("id", ["name: id, type: integer"], "n * 7919 % 1000 - 500"),
        (
            "name", ["name: name, type: string"],
            #"(ARRAY['a,','A/','%','%2C','é','z ''"','😀','\','+ '])[1 + n % 9] || n * 31 % 1000"#
        ),
        (
            "b, a", ["name: a, type: integer", "name: b, type: string"],
            "n / 10, (ARRAY['x', 'X,', 'y%', 'ß', '-', 'x-', ' x', '0', 'aa', 'Aa'])[1 + n % 10]"
        ),
        (
            "at", ["name: at, type: timestamp"],
            "'2021-11-07 02:48:42.123456+00'::timestamptz + n * 7919 % 1000 * '1.001 s'::interval"
        ),
        ("price", ["name: price, type: 'decimal(38,4)'"], "(n * 7919 % 1000)::numeric / 3 - 150"),
        ("size", ["name: size, type: number"], "(n * 7919 % 1000 - 500) / 3.0 * 1e10"),
        ("id", ["name: id, type: uuid"], "md5(n::text)::uuid"),
        (
            "on, isIn, id",
            ["name: isIn, type: boolean", "name: id, type: integer", "name: on, type: date"],
            "n % 2 = 0, n % 3, '2000-01-01'::date - n / 6"
        ),
        ("", ["name: note, type: string, optional: true"], "NULL"),
    ]

    @Test(
        "Pages by a key of any type are what psql gives, each row once and in order",
        arguments: keys)
    func pages(key: String, columns: [String], values: String) async throws {
        let shelf = try await Shelf(key: key, columns: columns)
        try shelf.fill("SELECT \(values), n * 3 FROM generate_series(0, 299) AS n")
        let wanted = try shelf.positions()
        #expect(wanted.count == 300)
        let reader = RowReader { shelf.conninfo }
        for limit in [1, 7, 100, 300, 1_000] {
            let pages = try await shelf.pages(reader, limit: limit)
            #expect(pages.flatMap(\.self) == wanted, "limit \(limit)")
            #expect(pages.dropLast().allSatisfy { $0.count == limit })
            #expect(pages.count == (300 + limit - 1) / limit, "the last page says so")
        }
        // Each row is found by its key.
        let page = try await reader.page(of: shelf.table, after: nil, limit: 300)
        for row in 0..<300 where !key.isEmpty {
            let found = try await reader.row(of: shelf.table, key: try shelf.key(page, row))
            #expect(found.rows.rowCount == 1 && !found.hasMore)
            let last = page.rows.columns.count - 1
            #expect(
                found.rows.value(row: 0, column: last) == page.rows.value(row: row, column: last))
        }
    }

    @Test("Text keys are ordered and compared by the database's own collation, whatever it is")
    func collation() async throws {
        let made = try await TestCluster.freshDatabase()
        let name = try psql(made, "SELECT current_database() || '_icu'")
        _ = try psql(
            made,
            "CREATE DATABASE \(name) TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
        let words = "'a','B','b','A','ä','Ä','-a','a-','z','Z','a b','ab','å','o','ö','_','1','10'"
        var orders: [[String]] = []
        for database in [made, "\(made) dbname=\(name)"] {
            let shelf = try await Shelf(
                key: "word", columns: ["name: word, type: string"], in: database)
            try shelf.fill("SELECT w, n FROM unnest(ARRAY[\(words)]) WITH ORDINALITY AS u(w, n)")
            let wanted = try shelf.positions()
            for limit in [1, 5] {
                let pages = try await shelf.pages(RowReader { database }, limit: limit)
                #expect(pages.flatMap(\.self) == wanted)
            }
            try expectIndexed(shelf, after: ["a"])
            orders.append(wanted)
        }
        #expect(orders[0] != orders[1], "the two databases do order otherwise")
    }

    /// Asserts that a page is read from the index of the key, from its place on.
    private func expectIndexed(
        _ shelf: Shelf, after: [String]?, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let statement = RowStatement(
            pageOf: shelf.table, schema: "public", after: after, limit: 100, byteLimit: 1 << 20)
        let connection = try PostgresConnection(.init(conninfo: shelf.conninfo))
        try connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        let plan = try connection.query("EXPLAIN " + statement.sql, statement.parameters)
            .compactMap { $0.text(0) }.joined(separator: "\n")
        #expect(plan.contains("Scan using shelf_pkey"), "\(plan)", sourceLocation: sourceLocation)
        #expect(!plan.contains("Sort"), "\(plan)", sourceLocation: sourceLocation)
        #expect(
            plan.contains("Index Cond: ") == (after != nil), "\(plan)",
            sourceLocation: sourceLocation)
    }

    @Test("A page begins in the key's index and sorts nothing, however large the table")
    func plan() async throws {
        let shelf = try await Shelf(
            key: "b, a",
            columns: [
                "name: a, type: integer", "name: b, type: string",
                "name: text, type: string, optional: true",
            ])
        try shelf.fill(
            "SELECT n % 1000, 'b' || n / 1000, repeat('x', 50), n FROM generate_series(1, 50000) n")
        for _ in 0..<2 {
            try expectIndexed(shelf, after: nil)
            try expectIndexed(shelf, after: ["b7", "400"])
            _ = try psql(shelf.conninfo, "ANALYZE shelf")
        }
        let notes = try await Shelf(key: "", columns: ["name: note, type: string"])
        try notes.fill("SELECT 'x', n FROM generate_series(1, 5000) n")
        try expectIndexed(notes, after: ["400"])
    }

    @Test("A page ends early where its rows are large, and a row of any size is a page")
    func bytes() async throws {
        let shelf = try await Shelf(
            key: "id",
            columns: [
                "name: id, type: integer", "name: text, type: string, optional: true",
                "name: more, type: string",
            ])
        // Every fifth row is larger than a page, and is stored aside without compression.
        _ = try psql(
            shelf.conninfo, "ALTER TABLE shelf ALTER more SET STORAGE EXTERNAL")
        try shelf.fill(
            """
            SELECT n, CASE WHEN n % 3 > 0 THEN repeat('é', 500) END,
                   repeat('x', CASE WHEN n % 5 = 0 THEN 20000 ELSE 1000 END), n
              FROM generate_series(1, 60) AS n
            """)
        var options = RowReader.Options()
        options.pageByteLimit = 10_000
        let reader = RowReader(options: options) { shelf.conninfo }
        let pages = try await shelf.pages(reader, limit: 50)
        #expect(pages.flatMap(\.self) == (1...60).map(String.init))
        // Ten thousand bytes are at most nine small rows, and then the one that goes beyond.
        #expect(pages.count >= 12 && pages.allSatisfy { $0.count <= 10 })
        #expect(
            pages.dropLast().allSatisfy { page in
                page.last.flatMap(Int.init).map { $0 % 5 == 0 } ?? false
            })
        let all = try await shelf.pages(RowReader { shelf.conninfo }, limit: 1_000)
        #expect(all.map(\.count) == [60])
    }

    @Test("Values come as what they are, whatever the database's settings")
    func values() async throws {
        let shelf = try await Shelf(
            key: "id",
            columns: [
                "name: id, type: integer", "name: n, type: number, optional: true",
                "name: d, type: 'decimal(12,2)', optional: true",
                "name: b, type: boolean, optional: true", "name: s, type: string, optional: true",
                "name: day, type: date, optional: true",
                "name: at, type: timestamp, optional: true", "name: u, type: uuid, optional: true",
            ])
        _ = try psql(
            shelf.conninfo,
            """
            DO $$ BEGIN
              EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Kolkata''',
                current_database());
              EXECUTE format('ALTER DATABASE %I SET datestyle = ''SQL, DMY''',
                current_database());
            END $$;
            INSERT INTO shelf VALUES
              (-9223372036854775808, 1e-7, 12.5, true, 'a "b"', '0001-01-01',
               '2021-11-07 02:48:42.123450+05:30', '6F1B0F7E-2C58-4F6C-9A53-0C1F5A3F6D11', 1),
              (9007199254740993, 0.1, -0.01, false, '', '9999-12-31',
               '9999-12-31 23:59:59.999999+00', NULL, 2),
              (9223372036854775807, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 9007199254740993)
            """)
        let page = try await RowReader { shelf.conninfo }.page(
            of: shelf.table, after: nil, limit: 9)
        let rows = (0..<page.rows.rowCount).map { row in
            page.rows.columns.indices.map { page.rows.value(row: row, column: $0) }
        }
        #expect(
            rows == [
                [
                    "-9223372036854775808", "1e-07", "12.50", "true", "a \"b\"", "0001-01-01",
                    "2021-11-06T21:18:42.12345Z", "6f1b0f7e-2c58-4f6c-9a53-0c1f5a3f6d11", "1",
                ],
                [
                    "9007199254740993", "0.1", "-0.01", "false", "", "9999-12-31",
                    "9999-12-31T23:59:59.999999Z", nil, "2",
                ],
                ["9223372036854775807", nil, nil, nil, nil, nil, nil, nil, "9007199254740993"],
            ])
        #expect(page.rows.columns.map(\.name).last == "ledger_position")
        #expect(
            page.rows.columns.map(\.form) == [
                .number, .number, .text, .boolean, .text, .text, .text, .text, .number,
            ])
    }

    @Test("A table that is not there, or is of an earlier dictionary, is yet to be made")
    func notMade() async throws {
        let shelf = try await Shelf(key: "id", columns: ["name: id, type: integer"])
        let reader = RowReader { shelf.conninfo }
        for change in [
            "ALTER TABLE shelf ALTER id TYPE text", "ALTER TABLE shelf RENAME id TO other",
            "DROP TABLE shelf",
        ] {
            _ = try psql(shelf.conninfo, change)
            await #expect(throws: RowSourceError.notMade, "\(change)") {
                try await reader.page(of: shelf.table, after: ["1"], limit: 1)
            }
            await #expect(throws: RowSourceError.notMade, "\(change)") {
                try await reader.row(of: shelf.table, key: ["1"])
            }
        }
    }

    @Test("A read that is held up is ended, as many as may wait, and nothing can be written")
    func limits() async throws {
        let shelf = try await Shelf(key: "id", columns: ["name: id, type: integer"])
        try shelf.fill("VALUES (1, 1)")
        var options = RowReader.Options()
        options.timeoutSeconds = 1
        options.connectionCount = 1
        options.waitingCount = 1
        let reader = RowReader(options: options) { shelf.conninfo }
        let holder = try PostgresConnection(.init(conninfo: shelf.conninfo))
        try holder.execute("BEGIN; LOCK TABLE shelf")
        async let first = refusal(reader, shelf)
        async let second = refusal(reader, shelf)
        async let third = refusal(reader, shelf)
        let outcomes = await [first, second, third]
        #expect(outcomes.count { $0 == .timedOut(seconds: 1) } == 2)
        #expect(outcomes.count { $0 == .busy } == 1)
        try holder.execute("ROLLBACK")
        #expect(try await reader.row(of: shelf.table, key: ["1"]).rows.rowCount == 1)

        _ = try psql(
            shelf.conninfo,
            """
            ALTER TABLE shelf RENAME TO rest;
            CREATE FUNCTION add() RETURNS bigint LANGUAGE sql
              AS 'INSERT INTO rest VALUES (7, 7) RETURNING id';
            CREATE VIEW shelf AS SELECT add() AS id, 1::bigint AS ledger_position
            """)
        let refused = await refusal(reader, shelf)
        guard case .failed(let why)? = refused, why.contains("25006") else {
            Issue.record("\(String(describing: refused))")
            return
        }
        #expect(try psql(shelf.conninfo, "SELECT count(*) FROM rest") == "1")
    }

    /// Why the row with key 1 cannot be read; nil if it can.
    private func refusal(_ reader: RowReader, _ shelf: Shelf) async -> RowSourceError? {
        do throws(RowSourceError) {
            _ = try await reader.row(of: shelf.table, key: ["1"])
            return nil
        } catch {
            return error
        }
    }

    @Test("A connection that was lost is made again; without Postgres it says so")
    func lost() async throws {
        let shelf = try await Shelf(key: "id", columns: ["name: id, type: integer"])
        try shelf.fill("VALUES (1, 1)")
        let place = Mutex<String?>(nil)
        let reader = RowReader { place.withLock(\.self) }
        for wrong in [nil, "", "host=/nowhere"] {
            place.withLock { $0 = wrong }
            let error = await refusal(reader, shelf)
            guard case .unavailable? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        place.withLock { $0 = shelf.conninfo }
        #expect(try await reader.row(of: shelf.table, key: ["1"]).rows.rowCount == 1)
        let killed = try psql(
            shelf.conninfo,
            """
            SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
             WHERE application_name = 'daybook rows' AND datname = current_database()
            """)
        #expect(killed == "1")
        #expect(try await reader.row(of: shelf.table, key: ["1"]).rows.rowCount == 1)
    }
}
