import DaybookCatalog
import Postgres
import Synchronization

/// Runs reports over connections of its own, each in a transaction that can only read.
///
/// A report that takes its time holds one connection; the others go on. Connections are made when
/// first needed and made anew when they were lost.
public final class ReportRunner: ReportSource {
    /// What bounds a report.
    public struct Options: Sendable {
        /// The schema of the dictionary's tables, in which the queries find them.
        public var schema = "public"
        /// How long a query may run.
        public var timeoutSeconds = 10
        /// How many rows an answer may have: it is held in memory.
        public var rowLimit = 100_000
        /// How many reports run at once.
        public var connectionCount = 2
        /// How many more may wait for a connection.
        public var waitingCount = 32

        /// The defaults.
        public init() {}
    }

    private struct State {
        /// Where the sessions lead to.
        var conninfo = ""
        var sessions: [PostgresSession] = []
        /// How many reports each session has.
        var loads: [Int] = []
    }

    private let options: Options
    private let conninfo: @Sendable () -> String?
    private let state = Mutex(State())

    /// A runner whose connections go where `conninfo` says; it is asked for every report, and nil
    /// or empty means that Postgres is not there.
    public init(options: Options = Options(), conninfo: @escaping @Sendable () -> String?) {
        precondition(options.connectionCount > 0, "a report needs a connection")
        self.options = options
        self.conninfo = conninfo
    }

    /// Runs the report's query. Times are in UTC.
    public func run(
        _ report: Report, arguments: [ScalarValue]
    ) async throws(ReportError) -> ReportTable {
        precondition(arguments.count == report.parameters.count, "every parameter has a value")
        let (session, place) = try take()
        defer { state.withLock { state in state.loads[place] -= 1 } }
        let query = ReportStatement(report, arguments: arguments, rowLimit: options.rowLimit)
        do {
            return try await session.withConnection { try query.run(on: $0) }
        } catch let error as ReportError {
            throw error
        } catch let error as PostgresError {
            throw query.meaning(of: error, timeoutSeconds: options.timeoutSeconds)
        } catch {
            throw .failed("\(error)")
        }
    }

    /// The session with the least to do.
    private func take() throws(ReportError) -> (PostgresSession, Int) {
        guard let conninfo = conninfo(), !conninfo.isEmpty else {
            throw .unavailable("Postgres has not been reached yet")
        }
        let taken = state.withLock { state -> (PostgresSession, Int)? in
            if state.conninfo != conninfo {
                state.conninfo = conninfo
                state.sessions = (0..<options.connectionCount).map { _ in session(conninfo) }
                // Reports that still run over the old sessions give their loads back here.
                if state.loads.isEmpty { state.loads = state.sessions.map { _ in 0 } }
            }
            let waiting = state.loads.reduce(0, +) - options.connectionCount
            guard waiting < options.waitingCount,
                let place = state.loads.indices.min(by: { state.loads[$0] < state.loads[$1] })
            else { return nil }
            state.loads[place] += 1
            return (state.sessions[place], place)
        }
        guard let taken else { throw .busy }
        return taken
    }

    private func session(_ conninfo: String) -> PostgresSession {
        let options = options
        return PostgresSession(
            .init(
                conninfo: conninfo, connectTimeoutSeconds: 3, applicationName: "daybook reports")
        ) { connection in
            // What the values' text looks like does not depend on the server's configuration.
            try connection.execute(
                """
                SET search_path = \(SQL.identifier(options.schema));
                SET timezone = 'UTC';
                SET datestyle = 'ISO';
                SET intervalstyle = 'iso_8601';
                SET extra_float_digits = 1;
                SET bytea_output = 'hex'
                """)
            try connection.setStatementTimeout(milliseconds: options.timeoutSeconds * 1000)
        }
    }
}
