import Foundation
import Postgres
import Testing

@Suite("A session")
struct SessionTests {
    @Test("A connection lost in use is reported; the next use connects anew")
    func lostInUse() async throws {
        let session = try await TestCluster.session()
        await #expect {
            try await session.withConnection { connection in
                try connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            }
        } throws: { error in
            guard case PostgresError.connectionLost = error else { return false }
            return true
        }
        let rowCount = try await session.withConnection { try $0.query("SELECT 1").rowCount }
        #expect(rowCount == 1)
    }

    @Test("A connection closed while idle is replaced before use")
    func lostWhileIdle() async throws {
        let session = try await TestCluster.session()
        let first = try await session.withConnection { $0.backendProcessIdentifier }
        try await TestCluster.withConnection { other in
            _ = try other.query(
                "SELECT pg_terminate_backend($1::int, 5000)", [.text(String(first))])
        }
        let second = try await session.withConnection { connection in
            _ = try connection.query("SELECT 1")
            return connection.backendProcessIdentifier
        }
        #expect(first != second)
    }

    @Test("A body that leaves a transaction open costs only its own connection")
    func openTransaction() async throws {
        let session = try await TestCluster.session()
        let first = try await session.withConnection { connection in
            try connection.execute("BEGIN")
            return connection.backendProcessIdentifier
        }
        let second = try await session.withConnection { $0.backendProcessIdentifier }
        #expect(first != second)
    }

    @Test("Cancelling a task cancels the statement it waits for, and not the next caller's")
    func cancellation() async throws {
        let session = try await TestCluster.session()
        try await session.withConnection { try $0.execute("SELECT 1") }
        let sleeper = Task {
            try await session.withConnection { try $0.execute("SELECT pg_sleep(60)") }
        }
        try await TestCluster.withConnection { other in
            while try other.query(
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)'"
            ).isEmpty {}
        }
        async let next = session.withConnection { try $0.query("SELECT 1").rowCount }
        sleeper.cancel()
        await #expect {
            try await sleeper.value
        } throws: { error in
            guard case PostgresError.cancelled = error else { return false }
            return true
        }
        let rowCount = try await next
        #expect(rowCount == 1)
    }

    @Test("Blocked sessions hold no thread of the cooperative pool")
    func blocking() async throws {
        // Each waits in the server for all the others: on the pool, which has a thread a core,
        // they would wait for ever.
        let count = 2 * ProcessInfo.processInfo.activeProcessorCount + 4
        let key = Int64.random(in: 0...Int64(UInt32.max))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count {
                group.addTask {
                    try await TestCluster.withConnection { connection in
                        try connection.setStatementTimeout(milliseconds: 30_000)
                        try connection.execute(
                            """
                            SELECT pg_advisory_lock_shared(\(key));
                            DO $$ BEGIN
                                WHILE (SELECT count(*) < \(count) FROM pg_locks
                                       WHERE locktype = 'advisory' AND objid = \(key)) LOOP
                                    PERFORM pg_sleep(0.01);
                                END LOOP;
                            END $$;
                            """)
                        // Held until all have seen all.
                        try connection.execute("SELECT pg_sleep(0.5)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("Many callers at a time take their turns")
    func turns() async throws {
        let session = try await TestCluster.session()
        try await session.withConnection { try $0.execute("CREATE TEMP TABLE t (n bigint)") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    try await session.withConnection { connection in
                        try connection.transaction {
                            _ = try connection.query(
                                "INSERT INTO t VALUES ($1)", [.int64(Int64(number))])
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let sum = try await session.withConnection { connection in
            try connection.query("SELECT sum(n) FROM t")[0].int64(0)
        }
        #expect(sum == 1225)
    }
}
