import Postgres
import Testing

@Suite("A connection")
struct ConnectionTests {
    @Test("Parameters and results go over in text and in binary, NULL among them")
    func parameters() async throws {
        try await TestCluster.withConnection { connection in
            for format in [PostgresFormat.text, .binary] {
                let rows = try connection.query(
                    """
                    SELECT $1::bigint AS number, $2::text AS name, $3::bytea AS raw,
                           $4::boolean AS yes, $5::text AS nothing, length($2) AS characters
                    """,
                    [.int64(.min), "zwölf 🐘", .bytes([0, 1, 255]), .bool(true), nil],
                    format: format)
                #expect(rows.columnNames.count == 6)
                #expect(rows.typeOID(column: 2) == TypeOID.bytea)
                let row = try #require(rows.first)
                #expect(row.int64("number") == .min)
                #expect(row.text("name") == "zwölf 🐘")
                let raw = format == .binary ? [0, 1, 255] : Array(#"\x0001ff"#.utf8)
                #expect(row.bytes("raw") == raw)
                #expect(row.bool("yes") == true)
                #expect(row.text("nothing") == nil && row.bytes("nothing") == nil)
                #expect(row.int64("characters") == 7)
            }
        }
    }

    @Test("A text parameter with a NUL is refused, not cut")
    func nul() async throws {
        try await TestCluster.withConnection { connection in
            #expect {
                _ = try connection.query("SELECT $1::text, $2::text", ["a", "b\u{0}c"])
            } throws: { error in
                guard case PostgresError.nulInParameter(2) = error else { return false }
                return true
            }
        }
    }

    @Test("Identifiers and literals are quoted so that the server reads back the same text")
    func quoting() async throws {
        try await TestCluster.withConnection { connection in
            let texts = [
                #"a"b"#, "a'b", #"a\b"#, "SELECT", "ü 🐘", "'; DROP TABLE x; --", "e\u{301}\"",
            ]
            for text in texts {
                let rows = try connection.query(
                    "SELECT \(SQL.literal(text)) AS \(SQL.identifier(text))")
                #expect(rows[0].text(0) == text)
                #expect(rows.columnNames == [text])
            }
        }
    }

    @Test("A transaction whose body throws leaves nothing")
    func rollback() async throws {
        struct Stop: Error {}
        let table = TestCluster.freshName("rollback")
        try await TestCluster.withConnection { connection in
            try connection.execute("CREATE TABLE \(table) (n bigint)")
            #expect(throws: Stop.self) {
                try connection.transaction {
                    try connection.execute("INSERT INTO \(table) VALUES (1)")
                    throw Stop()
                }
            }
            try connection.transaction(isolation: .serializable) {
                try connection.execute("INSERT INTO \(table) VALUES (2)")
            }
            let rows = try connection.query("SELECT n FROM \(table)")
            #expect(rows.map { $0.int64(0) } == [2])
        }
    }

    @Test("A transaction that swallowed a failed statement does not pass for committed")
    func swallowedFailure() async throws {
        try await TestCluster.withConnection { connection in
            #expect {
                try connection.transaction { try? connection.execute("SELECT 1/0") }
            } throws: { error in
                guard case PostgresError.transactionRolledBack = error else { return false }
                return true
            }
        }
    }

    @Test("A read-only transaction refuses to write")
    func readOnly() async throws {
        try await TestCluster.withConnection { connection in
            #expect {
                try connection.transaction(readOnly: true) {
                    try connection.execute("CREATE TABLE never (n int)")
                }
            } throws: { error in
                guard case PostgresError.server(let error) = error else { return false }
                return error.sqlState == "25006"
            }
        }
    }

    @Test("A statement over its time limit is timed out; the connection goes on")
    func statementTimeout() async throws {
        try await TestCluster.withConnection { connection in
            try connection.setStatementTimeout(milliseconds: 50)
            #expect {
                try connection.execute("SELECT pg_sleep(30)")
            } throws: { error in
                guard case PostgresError.timedOut = error else { return false }
                return (error as? PostgresError)?.isTransient == true
            }
            #expect(try connection.query("SELECT 1").rowCount == 1)
        }
    }

    @Test("A connection that is lost at COMMIT leaves the outcome unknown, and says so")
    func lostAtCommit() async throws {
        let table = TestCluster.freshName("lost")
        let session = try await TestCluster.session()
        // A deferred constraint trigger runs inside COMMIT and ends the server process there.
        try await session.withConnection { connection in
            try connection.execute(
                """
                CREATE TABLE \(table) (n bigint);
                CREATE FUNCTION \(table)() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
                CREATE CONSTRAINT TRIGGER die AFTER INSERT ON \(table)
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION \(table)();
                """)
        }
        await #expect {
            try await session.withConnection { connection in
                try connection.transaction {
                    try connection.execute("INSERT INTO \(table) VALUES (1)")
                }
            }
        } throws: { error in
            guard case PostgresError.commitOutcomeUnknown = error else { return false }
            return true
        }
    }

    @Test("Notices are kept until they are taken")
    func notices() async throws {
        try await TestCluster.withConnection { connection in
            try connection.execute("DROP TABLE IF EXISTS not_there")
            let notices = connection.takeNotices()
            #expect(notices.map(\.severity) == ["NOTICE"])
            #expect(notices.first?.message.contains("not_there") == true)
            #expect(connection.takeNotices().isEmpty)
        }
    }

    @Test("Nothing listening is a failed connection and a ping without answer")
    func nobodyThere() throws {
        let conninfo = "host=/nonexistent port=1 connect_timeout=2"
        #expect(PostgresConnection.ping(conninfo: conninfo) == .noResponse)
        #expect {
            _ = try PostgresConnection(.init(conninfo: conninfo))
        } throws: { error in
            guard case PostgresError.connectionFailed = error else { return false }
            return (error as? PostgresError)?.isTransient == true
        }
    }

    @Test(
        "An error's description holds no row data; its debug description may",
        arguments: [
            "INSERT INTO people VALUES (1, 'Secret Name')",
            "INSERT INTO people VALUES (2, NULL)",
            "INSERT INTO people VALUES (3, 'Secret Name')",
            "SELECT 'Secret Name'::bigint",
            "DO $$ BEGIN RAISE EXCEPTION 'Secret Name'; END $$",
        ])
    func redaction(statement: String) async throws {
        try await TestCluster.withConnection { connection in
            try connection.execute(
                """
                CREATE TEMP TABLE people (id bigint, name text NOT NULL UNIQUE,
                    CHECK (id <> 3));
                INSERT INTO people VALUES (0, 'Secret Name')
                """)
            let error = try #require(throws: PostgresError.self) {
                try connection.execute(statement)
            }
            #expect(!String(describing: error).contains("Secret"))
            #expect(!"\(error)".contains("Secret"))
            guard case .server(let details) = error else {
                Issue.record("not an error of the server: \(error)")
                return
            }
            #expect(!"\(details)".contains("Secret"))
            #expect(
                String(reflecting: error).contains("Secret") == !statement.contains("NULL"))
        }
    }
}
