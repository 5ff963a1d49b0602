import DaybookCatalog
import Postgres
import TestSupport
import Testing

@Suite("The DDL of a table")
struct TableDDLTests {
    @Test("A table's statements stand apart: the table, its keys, its comments")
    func statements() throws {
        let catalog = try Fixtures.otherTrade()
        let ddl = try #require(catalog.table(named: "accounts")).ddl(schema: "public")
        #expect(
            ddl.createTable == """
                CREATE TABLE "public"."accounts" (
                    "iban" text NOT NULL,
                    "holder" text NOT NULL,
                    "opened" date NOT NULL,
                    "ref" uuid NOT NULL,
                    "ledger_position" bigint NOT NULL
                )
                """)
        #expect(
            ddl.keyStatements == [
                #"ALTER TABLE "public"."accounts" ADD PRIMARY KEY ("iban")"#,
                #"ALTER TABLE "public"."accounts" ADD UNIQUE ("ref")"#,
                #"ALTER TABLE "public"."accounts" ADD UNIQUE ("holder", "opened")"#,
            ])
        #expect(
            ddl.commentStatements == [
                #"COMMENT ON TABLE "public"."accounts" IS 'Who pays, and who''s paid'"#,
                #"COMMENT ON COLUMN "public"."accounts"."holder" IS 'Name: "as written"'"#,
            ])
        let readings = try #require(catalog.table(named: "readings"))
        #expect(
            readings.ddl(schema: "b\"1", name: "readings_2").keyStatements == [
                #"ALTER TABLE "b""1"."readings_2" ADD PRIMARY KEY ("ledger_position")"#
            ])
    }

    @Test("Postgres makes the tables with these columns, keys and comments, twice side by side")
    func postgres() async throws {
        let folder = try TemporaryFolder()
        let cluster = PrivateCluster(dataDirectory: folder.path("data"))
        do {
            let conninfo = try await cluster.start().conninfo
            try makeTables(conninfo)
        } catch {
            try? await cluster.stop()
            throw error
        }
        try await cluster.stop()
    }

    private func makeTables(_ conninfo: String) throws {
        let tables = try Fixtures.otherTrade().tables + Fixtures.shipped().tables
        var statements = ["CREATE SCHEMA \(SQLText.identifier("build \"2\""))"]
        for (schema, suffix) in [("public", ""), ("public", "_next"), ("build \"2\"", "")] {
            for table in tables {
                let ddl = table.ddl(schema: schema, name: table.name + suffix)
                statements += [ddl.createTable] + ddl.keyStatements + ddl.commentStatements
            }
        }
        let made = try psql(conninfo, statements.joined(separator: ";\n"))
        #expect(made.errorText == "")

        let columns = try psql(
            conninfo,
            """
            SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
            WHERE attrelid = 'payments'::regclass AND attnum > 0 ORDER BY attnum
            """)
        #expect(
            columns.text == """
                batch|text|t
                line|bigint|t
                payer|text|t
                payee|text|f
                amount|numeric(12,2)|t
                fee|numeric(12,2)|t
                country|text|t
                due|date|t
                booked|date|f
                rate|double precision|t
                urgent|boolean|t
                ledger_position|bigint|t

                """)
        let keys = try psql(
            conninfo,
            """
            SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE contype IN ('p', 'u') AND conrelid IN
                ('accounts'::regclass, 'readings_next'::regclass, 'reversals'::regclass)
            ORDER BY 1, 2
            """)
        #expect(
            Set(keys.text.split(separator: "\n")) == [
                "accounts|PRIMARY KEY (iban)", "accounts|UNIQUE (holder, opened)",
                "accounts|UNIQUE (ref)", "reversals|PRIMARY KEY (batch, line)",
                "readings_next|PRIMARY KEY (ledger_position)",
            ])
        let comment = try psql(
            conninfo,
            "SELECT col_description('reversals'::regclass, 3) = E'Two\\nlines, a tab\\t, "
                + "é, \\u2028 and 😀'")
        #expect(comment.text == "t\n")
        let longest = try psql(
            conninfo,
            """
            INSERT INTO accounts SELECT 'x', string_agg(chr(128512 + (random() * 60)::int), ''),
                '2024-01-01', gen_random_uuid(), 1 FROM generate_series(1, 512)
            """)
        #expect(longest.text == "INSERT 0 1\n", "the longest key that intake lets in fits")
    }

    private func psql(_ conninfo: String, _ sql: String) throws -> ToolResult {
        try runTool(
            requireTool("psql"), ["-XAt", "-v", "ON_ERROR_STOP=1", conninfo, "-c", sql])
    }
}
