import DaybookCatalog
import Postgres

/// Reads rows of the dictionary's tables over connections of its own, which can only read.
public final class RowReader: RowSource {
    /// What bounds a read.
    public struct Options: Sendable {
        /// The schema of the dictionary's tables.
        public var schema = "public"
        /// How long a statement may run.
        public var timeoutSeconds = 10
        /// About how many bytes a page may have before its last row: it is held in memory.
        public var pageByteLimit = 8 << 20
        /// How many reads run at once.
        public var connectionCount = 2
        /// How many more may wait for a connection.
        public var waitingCount = 64

        /// The defaults.
        public init() {}
    }

    private let options: Options
    private let sessions: ReadSessions

    /// A reader whose connections go where `conninfo` says; it is asked for every read, and nil or
    /// empty means that Postgres is not there.
    public init(options: Options = Options(), conninfo: @escaping @Sendable () -> String?) {
        self.options = options
        sessions = ReadSessions(
            applicationName: "daybook rows", connectionCount: options.connectionCount,
            waitingCount: options.waitingCount, conninfo: conninfo
        ) { connection in
            // A read is one statement, and the key's index has its order: nothing is sorted.
            try connection.execute(
                """
                SET default_transaction_read_only = on;
                SET jit = off;
                SET enable_seqscan = off;
                SET enable_bitmapscan = off;
                SET enable_sort = off;
                SET max_parallel_workers_per_gather = 0;
                \(ValueForm.settings)
                """)
            try connection.setStatementTimeout(milliseconds: options.timeoutSeconds * 1000)
        }
    }

    /// One statement: all rows of the page are of one moment.
    public func page(
        of table: Table, after: [String]?, limit: Int
    ) async throws(RowSourceError) -> RowPage {
        precondition(limit > 0, "a page has room for a row")
        let statement = RowStatement(
            pageOf: table, schema: options.schema, after: after, limit: limit,
            byteLimit: options.pageByteLimit)
        return try await read(statement, of: table, limit: limit)
    }

    /// Looks the row up by its key.
    public func row(of table: Table, key: [String]) async throws(RowSourceError) -> RowPage {
        let statement = RowStatement(of: table, schema: options.schema, key: key)
        return try await read(statement, of: table, limit: 1)
    }

    private func read(
        _ statement: RowStatement, of table: Table, limit: Int
    ) async throws(RowSourceError) -> RowPage {
        let types = table.columns.map(\.type.sqlType) + ["bigint"]
        do {
            return try await sessions.withConnection { connection in
                let result = try connection.query(statement.sql, statement.parameters)
                let rowCount = min(limit, result.rowCount)
                let hasMore =
                    result.columnNames.count > types.count && rowCount > 0
                    && result[rowCount - 1].bool(types.count) == true
                return RowPage(
                    rows: ReportTable(result, types: types, rowCount: rowCount), hasMore: hasMore)
            }
        } catch let refusal as ReadSessions.Refusal {
            switch refusal {
            case .busy: throw .busy
            case .unknownPlace: throw .unavailable("Postgres has not been reached yet")
            }
        } catch let error as PostgresError {
            throw meaning(of: error)
        } catch {
            throw .failed("\(error)")
        }
    }

    private func meaning(of error: PostgresError) -> RowSourceError {
        // Undefined table, column, and function: of an operator between a column of an earlier
        // type and a value of the present one.
        let notMade: Set = ["42P01", "42703", "42883"]
        switch error {
        case .timedOut: return .timedOut(seconds: options.timeoutSeconds)
        case .cancelled: return .unavailable("the query was cancelled")
        case .server(let fault) where notMade.contains(fault.sqlState): return .notMade
        case _ where error.isTransient: return .unavailable(error.description)
        default: return .failed(error.description)
        }
    }
}
