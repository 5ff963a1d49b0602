import CPostgres

/// The frame of the binary COPY format (PostgreSQL documentation, COPY, "Binary Format").
public enum BinaryCopy {
    /// Before the first row: the signature, no flags, no extension.
    public static let header: [UInt8] = [
        0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0x00,
        0, 0, 0, 0, 0, 0, 0, 0,
    ]
    /// After the last row: a field count of -1.
    public static let trailer: [UInt8] = [0xFF, 0xFF]
}

/// Where the closure of `PostgresConnection.copyIn` puts its bytes.
public struct CopyWriter: ~Copyable {
    private let connection: PostgresConnection

    init(_ connection: PostgresConnection) {
        self.connection = connection
    }

    /// Sends a piece of the data, cut anywhere; pieces of 64 to 256 KiB are best, for each costs a
    /// message. Blocks while the server is behind. A row that the server refuses is reported when
    /// the COPY ends. (`PQputCopyData`)
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(PostgresError) {
        precondition(bytes.count < 1 << 30, "a piece of a COPY is smaller than 1 GiB")
        guard bytes.count > 0 else { return }
        let start = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
        guard PQputCopyData(connection.handle, start, Int32(bytes.count)) == 1 else {
            throw connection.lost()
        }
    }

    /// Sends a piece of the data, see `write(_:)` for raw bytes.
    public mutating func write(_ bytes: [UInt8]) throws(PostgresError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(PostgresError) in
            try write(UnsafeRawBufferPointer(bytes))
        }
    }
}

extension PostgresConnection {
    /// Runs a `COPY … FROM STDIN`, whose data `body` writes; returns how many rows were copied.
    ///
    /// When `body` throws, the COPY is aborted, nothing of it stays, and the error is thrown on.
    public func copyIn(
        _ sql: String, _ body: (inout CopyWriter) throws -> Void
    ) throws -> Int {
        try beginCopy(sql, PGRES_COPY_IN)
        var writer = CopyWriter(self)
        do {
            try body(&writer)
        } catch {
            leaveCopy()
            throw error
        }
        guard PQputCopyEnd(handle, nil) == 1 else { throw lost() }
        return try endCopy()
    }

    /// Runs a `COPY … TO STDOUT` and gives `body` each piece as it comes: one row, the first with
    /// the binary format's header before it, the last piece its trailer. The bytes are valid during
    /// the call. Returns how many rows were copied. (`PQgetCopyData`)
    ///
    /// When `body` throws, the COPY is cancelled and the error is thrown on.
    public func copyOut(
        _ sql: String, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int {
        try beginCopy(sql, PGRES_COPY_OUT)
        var piece: UnsafeMutablePointer<CChar>?
        while true {
            let count = PQgetCopyData(handle, &piece, 0)
            guard count >= 0, let piece else { break }
            defer { PQfreemem(piece) }
            do {
                try body(UnsafeRawBufferPointer(start: piece, count: Int(count)))
            } catch {
                leaveCopy()
                throw error
            }
        }
        return try endCopy()
    }

    private func beginCopy(
        _ sql: String, _ status: ExecStatusType
    ) throws(PostgresError) {
        guard let result = PQexec(handle, sql) else { throw lost() }
        if PQresultStatus(result) == status {
            PQclear(result)
            return
        }
        _ = try checked(result)
        throw .misuse("copyIn needs COPY … FROM STDIN, copyOut COPY … TO STDOUT")
    }

    /// Reads the COPY's answer to its end; returns its row count or throws the first error.
    private func endCopy() throws(PostgresError) -> Int {
        var rowCount = 0
        var firstError: PostgresError?
        while let result = PQgetResult(handle) {
            do {
                rowCount = try checked(result).affectedRowCount
            } catch {
                firstError = firstError ?? error
            }
        }
        if let firstError { throw firstError }
        if PQstatus(handle) == CONNECTION_BAD { throw lost() }
        return rowCount
    }

    /// Leaves a COPY without regard to its data: tells the server that the data fails, or cancels
    /// what it sends, and reads the answer to its end.
    func leaveCopy() {
        guard PQstatus(handle) == CONNECTION_OK else { return }
        if PQputCopyEnd(handle, "aborted by the client") != 1 {
            canceller.cancel()
            var piece: UnsafeMutablePointer<CChar>?
            while PQgetCopyData(handle, &piece, 0) > 0 { PQfreemem(piece) }
        }
        while let result = PQgetResult(handle) { PQclear(result) }
        _ = canceller.takeRequest()
    }
}
