import DaybookCatalog
import Postgres

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

    private let options: Options
    private let sessions: ReadSessions

    /// A runner whose connections go where `conninfo` says; it is asked for every report, and nil
    /// or empty means that Postgres is not there.
    public init(options: Options = Options(), conninfo: @escaping @Sendable () -> String?) {
        self.options = options
        sessions = ReadSessions(
            applicationName: "daybook reports", connectionCount: options.connectionCount,
            waitingCount: options.waitingCount, conninfo: conninfo
        ) { connection in
            try connection.execute(
                """
                SET search_path = \(SQL.identifier(options.schema));
                \(ValueForm.settings)
                """)
            try connection.setStatementTimeout(milliseconds: options.timeoutSeconds * 1000)
        }
    }

    /// Runs the report's query. Times are in UTC.
    public func run(
        _ report: Report, arguments: [ScalarValue]
    ) async throws(ReportError) -> ReportTable {
        precondition(arguments.count == report.parameters.count, "every parameter has a value")
        let query = ReportStatement(report, arguments: arguments, rowLimit: options.rowLimit)
        do {
            return try await sessions.withConnection { try query.run(on: $0) }
        } catch let error as ReportError {
            throw error
        } catch let refusal as ReadSessions.Refusal {
            switch refusal {
            case .busy: throw .busy
            case .unknownPlace: throw .unavailable("Postgres has not been reached yet")
            }
        } catch let error as PostgresError {
            throw query.meaning(of: error, timeoutSeconds: options.timeoutSeconds)
        } catch {
            throw .failed("\(error)")
        }
    }
}
