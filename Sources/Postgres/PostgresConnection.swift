import CPostgres
import Glibc

/// One connection to a Postgres server, by libpq. Every call blocks the calling thread.
///
/// Not `Sendable`: one thread at a time uses it. `PostgresSession` keeps one on its own thread.
public final class PostgresConnection {
    /// How a connection is made. Other settings stand in the connection string.
    public struct Configuration: Sendable {
        /// A connection string or URL (PostgreSQL documentation, 34.1.1). What it says wins over
        /// the other fields.
        public var conninfo: String
        /// How long connecting may take, in seconds, for each address tried; at least 2.
        public var connectTimeoutSeconds: Int
        /// The name shown in `pg_stat_activity`.
        public var applicationName: String

        /// By default ten seconds, and no name.
        public init(
            conninfo: String, connectTimeoutSeconds: Int = 10, applicationName: String = ""
        ) {
            self.conninfo = conninfo
            self.connectTimeoutSeconds = connectTimeoutSeconds
            self.applicationName = applicationName
        }
    }

    /// Something the server said beside its answers.
    public struct Notice: Sendable {
        /// DEBUG to WARNING, in the server's language.
        public var severity: String
        /// The five-character SQLSTATE.
        public var sqlState: String
        /// The primary message.
        public var message: String
    }

    let handle: OpaquePointer
    /// Cancels this connection's statements from any thread.
    public let canceller: PostgresCanceller
    /// The statement timeout that was set here, in milliseconds; 0 is none.
    private var statementTimeoutMilliseconds = 0
    private var notices: [Notice] = []

    /// How many notices are kept until `takeNotices`; later ones are dropped.
    static let noticeCountMax = 100

    /// Connects; throws `connectionFailed`. (`PQconnectdbParams`)
    public init(_ configuration: Configuration) throws(PostgresError) {
        // The last word wins, and "dbname" stands for the whole string: defaults go before it, what
        // we rely on after it. A dead peer is noticed within a minute.
        let parameters = [
            ("connect_timeout", String(configuration.connectTimeoutSeconds)),
            ("fallback_application_name", configuration.applicationName),
            ("keepalives_idle", "20"), ("keepalives_interval", "10"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "60000"),
            ("dbname", configuration.conninfo),
            ("client_encoding", "UTF8"),
        ]
        guard let handle = Self.open(parameters) else {
            throw .connectionFailed("out of memory")
        }
        guard PQstatus(handle) == CONNECTION_OK, let cancel = PQgetCancel(handle) else {
            defer { PQfinish(handle) }
            throw .connectionFailed(Self.message(handle))
        }
        self.handle = handle
        canceller = PostgresCanceller(owning: cancel)
        PQsetNoticeReceiver(
            handle,
            { context, result in
                guard let context, let result else { return }
                Unmanaged<PostgresConnection>.fromOpaque(context).takeUnretainedValue()
                    .note(result)
            }, Unmanaged.passUnretained(self).toOpaque())
        try execute("SET standard_conforming_strings = on")
    }

    deinit { PQfinish(handle) }

    private static func open(_ parameters: [(String, String)]) -> OpaquePointer? {
        let keys = parameters.map { strdup($0.0) }
        let values = parameters.map { strdup($0.1) }
        defer { for text in keys + values { free(text) } }
        let constantKeys = keys.map { UnsafePointer($0) } + [nil]
        let constantValues = values.map { UnsafePointer($0) } + [nil]
        return PQconnectdbParams(constantKeys, constantValues, 1)
    }

    /// The server's version as one number, 150020 for 15.20. (`PQserverVersion`)
    public var serverVersion: Int { Int(PQserverVersion(handle)) }

    /// The process id of this connection's server process. (`PQbackendPID`)
    public var backendProcessIdentifier: Int32 { PQbackendPID(handle) }

    /// Runs one or several statements without parameters, and drops what they give. Several run
    /// in one transaction unless they say otherwise. (`PQexec`)
    public func execute(_ sql: String) throws(PostgresError) {
        _ = try checked(PQexec(handle, sql))
    }

    /// Runs one statement, `$1`, `$2`… standing for `parameters`. (`PQexecParams`)
    public func query(
        _ sql: String, _ parameters: [PostgresValue?] = [], format: PostgresFormat = .text
    ) throws(PostgresError) -> PostgresResult {
        let packed = try PackedParameters(parameters)
        let result = packed.bytes.withUnsafeBytes { bytes in
            let values = packed.offsets.map { offset in
                offset.map { bytes.baseAddress! + $0 }?.assumingMemoryBound(to: CChar.self)
            }
            return PQexecParams(
                handle, sql, Int32(parameters.count), packed.types, values, packed.lengths,
                packed.formats, format.rawValue)
        }
        return try checked(result)
    }

    /// Limits how long a statement may run, in milliseconds; 0 is no limit. A statement that runs
    /// longer throws `timedOut`. Inside a transaction that rolls back the limit is undone.
    public func setStatementTimeout(milliseconds: Int) throws(PostgresError) {
        precondition(milliseconds >= 0, "a timeout is not negative")
        try execute("SET statement_timeout = \(milliseconds)")
        statementTimeoutMilliseconds = milliseconds
    }

    /// The notices since the last call, oldest first, at most 100.
    public func takeNotices() -> [Notice] {
        defer { notices = [] }
        return notices
    }

    private func note(_ result: OpaquePointer) {
        guard notices.count < Self.noticeCountMax else { return }
        notices.append(
            Notice(
                severity: ServerError.field(result, "V") ?? "NOTICE",
                sqlState: ServerError.field(result, "C") ?? "",
                message: ServerError.field(result, "M") ?? ""))
    }
}

extension PostgresConnection {
    /// What a server says of itself without a login. (`PQping`)
    public enum Ping: Sendable {
        case accepting
        /// Alive, but starting, stopping or recovering.
        case rejecting
        case noResponse
        /// The connection string is wrong, or memory is out.
        case notAttempted
    }

    /// Asks whether a server takes connections; needs no right user or database.
    public static func ping(conninfo: String) -> Ping {
        switch PQping(conninfo) {
        case PQPING_OK: .accepting
        case PQPING_REJECT: .rejecting
        case PQPING_NO_RESPONSE: .noResponse
        default: .notAttempted
        }
    }
}

extension PostgresConnection {
    /// Whether the connection stands and is outside any transaction and COPY.
    var isIdle: Bool {
        PQstatus(handle) == CONNECTION_OK && PQtransactionStatus(handle) == PQTRANS_IDLE
    }

    /// Whether a transaction is open and sound.
    var isInTransaction: Bool { PQtransactionStatus(handle) == PQTRANS_INTRANS }

    /// Throws `connectionLost` if an idle connection has been closed by the server.
    public func checkAlive() throws(PostgresError) {
        if isClosedByServer { throw lost() }
    }

    /// Whether an idle connection has been closed by the server, looked up without a round trip:
    /// a goodbye would be waiting in the socket.
    var isClosedByServer: Bool {
        var pending = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        while PQstatus(handle) == CONNECTION_OK, poll(&pending, 1, 0) > 0 {
            if PQconsumeInput(handle) == 0 { break }
            _ = PQisBusy(handle)
        }
        return PQstatus(handle) != CONNECTION_OK
    }

    static func message(_ handle: OpaquePointer) -> String {
        ServerError.trimmed(String(cString: PQerrorMessage(handle)))
    }

    /// Takes ownership of a libpq result; throws what it reports.
    func checked(_ result: OpaquePointer?) throws(PostgresError) -> PostgresResult {
        guard let result else { throw lost() }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
            return PostgresResult(owning: result)
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            PQclear(result)
            leaveCopy()
            throw .misuse("a COPY with the client needs copyIn or copyOut")
        default:
            defer { PQclear(result) }
            throw failure(result)
        }
    }

    /// The error that a failed result stands for.
    func failure(_ result: OpaquePointer) -> PostgresError {
        // What libpq itself reports has no code, and is about the connection even where its status
        // does not say so yet: a write failed, and the server's last words are still being read.
        if PQstatus(handle) == CONNECTION_BAD || ServerError.field(result, "C") == nil {
            return .connectionLost(
                ServerError.trimmed(String(cString: PQresultErrorMessage(result))))
        }
        let error = ServerError(result)
        guard error.sqlState == "57014" else { return .server(error) }
        if canceller.takeRequest() || statementTimeoutMilliseconds == 0 { return .cancelled }
        return .timedOut("a statement, after \(statementTimeoutMilliseconds) ms")
    }

    func lost() -> PostgresError { .connectionLost(Self.message(handle)) }
}

extension ServerError {
    init(_ result: OpaquePointer) {
        self.init(
            sqlState: Self.field(result, "C") ?? "XX000", message: Self.field(result, "M") ?? "",
            detail: Self.field(result, "D"), hint: Self.field(result, "H"),
            context: Self.field(result, "W"),
            characterPosition: Self.field(result, "P").flatMap { Int($0) },
            schema: Self.field(result, "s"), table: Self.field(result, "t"),
            column: Self.field(result, "c"), constraint: Self.field(result, "n"))
    }

    static func field(_ result: OpaquePointer, _ code: Unicode.Scalar) -> String? {
        PQresultErrorField(result, Int32(code.value)).map { String(cString: $0) }
    }

    static func trimmed(_ message: String) -> String {
        var message = Substring(message)
        while message.last?.isWhitespace == true { message.removeLast() }
        return String(message)
    }
}

/// Parameters laid out for `PQexecParams`: all values in one buffer, each followed by a NUL.
private struct PackedParameters {
    var bytes: [UInt8] = []
    var offsets: [Int?] = []
    var types: [Oid] = []
    var lengths: [Int32] = []
    var formats: [Int32] = []

    init(_ parameters: [PostgresValue?]) throws(PostgresError) {
        for (index, parameter) in parameters.enumerated() {
            offsets.append(parameter == nil ? nil : bytes.count)
            switch parameter {
            case .text(let text):
                bytes.append(contentsOf: text.utf8)
                if text.utf8.contains(0) { throw .nulInParameter(index + 1) }
                append(type: 0, count: text.utf8.count, .text)
            case .binary(let value, let typeOID):
                bytes.append(contentsOf: value)
                append(type: typeOID, count: value.count, .binary)
            case nil:
                append(type: 0, count: 0, .text)
            }
            bytes.append(0)
        }
    }

    private mutating func append(type: Oid, count: Int, _ format: PostgresFormat) {
        types.append(type)
        lengths.append(Int32(count))
        formats.append(format.rawValue)
    }
}
