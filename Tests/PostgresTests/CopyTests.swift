import Postgres
import Testing

@Suite("Binary COPY")
struct CopyTests {
    /// The binary rows (n, "name n") for a range of n, by the format's documentation.
    private static func rows(_ range: Range<Int64>) -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        }
        for number in range {
            append(Int16(2))
            append(Int32(8))
            append(number)
            let name = Array("name \(number)".utf8)
            append(Int32(name.count))
            bytes.append(contentsOf: name)
        }
        return bytes
    }

    @Test("Rows copied in come out as they went in, cut into pieces at any place")
    func roundTrip() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        try await TestCluster.withConnection { connection in
            try connection.execute("CREATE TEMP TABLE t (n bigint, name text)")
            let data = BinaryCopy.header + Self.rows(0..<50_000) + BinaryCopy.trailer
            var state = seed
            let count = try connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { writer in
                try data.withUnsafeBytes { data in
                    var start = 0
                    while start < data.count {
                        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                        let end = min(data.count, start + Int(state >> 48))
                        try writer.write(UnsafeRawBufferPointer(rebasing: data[start..<end]))
                        start = end
                    }
                }
            }
            #expect(count == 50_000, "seed \(seed)")
            let sums = try connection.query(
                "SELECT count(*), sum(n), count(*) FILTER (WHERE name = 'name ' || n) FROM t")
            #expect(sums[0].int64(0) == 50_000)
            #expect(sums[0].int64(1) == 1_249_975_000)
            #expect(sums[0].int64(2) == 50_000)

            var out: [UInt8] = []
            let copied = try connection.copyOut(
                "COPY (SELECT * FROM t ORDER BY n) TO STDOUT (FORMAT binary)"
            ) { out.append(contentsOf: $0) }
            #expect(copied == 50_000)
            #expect(out == data, "seed \(seed)")
        }
    }

    @Test(
        "A server that warns and dies in the middle of a COPY is a lost connection, to be retried")
    func dyingServer() throws {
        let server = try DyingServer()
        let connection = try PostgresConnection(.init(conninfo: server.conninfo))
        let piece = [UInt8](repeating: 0, count: 1 << 15)
        do {
            _ = try connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { writer in
                try writer.write(piece)
                server.waitForEnd()
            }
            Issue.record("the COPY cannot have been done")
        } catch let error as PostgresError {
            guard case .connectionLost(let why) = error else {
                Issue.record("not a lost connection: \(error)")
                return
            }
            #expect(!why.isEmpty)
            #expect(error.isTransient)
        }
    }

    @Test("Throwing inside a COPY leaves nothing of it, and the connection goes on")
    func abort() async throws {
        struct Stop: Error {}
        try await TestCluster.withConnection { connection in
            try connection.execute("CREATE TEMP TABLE t (n bigint, name text)")
            #expect(throws: Stop.self) {
                _ = try connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { writer in
                    try writer.write(BinaryCopy.header)
                    try writer.write(Self.rows(0..<10_000))
                    throw Stop()
                }
            }
            #expect(try connection.query("SELECT count(*) FROM t")[0].int64(0) == 0)
        }
    }

    @Test("Throwing while rows come out ends the COPY, and the connection goes on")
    func stopReading() async throws {
        struct Stop: Error {}
        try await TestCluster.withConnection { connection in
            var pieceCount = 0
            #expect(throws: Stop.self) {
                _ = try connection.copyOut(
                    "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT (FORMAT binary)"
                ) { _ in
                    pieceCount += 1
                    if pieceCount == 10 { throw Stop() }
                }
            }
            #expect(pieceCount == 10)
            let rowCount = try connection.query("SELECT 1").rowCount
            #expect(rowCount == 1)
        }
    }

    @Test("A row that the server refuses fails the COPY with the server's error")
    func refusedRow() async throws {
        try await TestCluster.withConnection { connection in
            try connection.execute("CREATE TEMP TABLE t (n bigint PRIMARY KEY, name text)")
            let error = try #require(throws: PostgresError.self) {
                _ = try connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { writer in
                    try writer.write(
                        BinaryCopy.header + Self.rows(0..<20_000) + Self.rows(7..<8)
                            + BinaryCopy.trailer)
                }
            }
            guard case .server(let details) = error else {
                Issue.record("not an error of the server: \(error)")
                return
            }
            #expect(details.sqlState == "23505")
            #expect(try connection.query("SELECT count(*) FROM t")[0].int64(0) == 0)
        }
    }

    @Test("A statement that is no COPY, or one the other way, is refused and leaves no trace")
    func misuse() async throws {
        try await TestCluster.withConnection { connection in
            try connection.execute("CREATE TEMP TABLE t (n bigint, name text)")
            for sql in ["SELECT 1", "COPY t TO STDOUT"] {
                #expect(throws: PostgresError.self) { _ = try connection.copyIn(sql) { _ in } }
            }
            #expect(throws: PostgresError.self) { try connection.execute("COPY t FROM STDIN") }
            #expect(throws: PostgresError.self) { try connection.execute("COPY t TO STDOUT") }
            #expect(try connection.query("SELECT 1").rowCount == 1)
        }
    }
}
