import DaybookLog
import Postgres

/// Answers questions about rejections over connections of its own, each in a transaction that can
/// only read.
public final class RejectionReader: RejectionSource {
    /// What bounds a question.
    public struct Options: Sendable {
        /// How long a statement may run.
        public var timeoutSeconds = 30
        /// How many questions are answered at once.
        public var connectionCount = 2
        /// How many more may wait for a connection.
        public var waitingCount = 32

        /// The defaults.
        public init() {}
    }

    private let options: Options
    private let sessions: ReadSessions

    /// A reader whose connections go where `conninfo` says; it is asked for every question, and nil
    /// or empty means that Postgres is not there.
    public init(options: Options = Options(), conninfo: @escaping @Sendable () -> String?) {
        self.options = options
        sessions = ReadSessions(
            applicationName: "daybook rejections", connectionCount: options.connectionCount,
            waitingCount: options.waitingCount, conninfo: conninfo
        ) { connection in
            try connection.execute("SET jit = off")
            try connection.setStatementTimeout(milliseconds: options.timeoutSeconds * 1000)
        }
    }

    /// A page in the order of positions, found by indexes whatever the filter.
    public func page(
        _ filter: RejectionFilter, after: Position?, limit: Int
    ) async throws(RejectionSourceError) -> RejectionPage {
        precondition(limit > 0, "a page has room for a rejection")
        return try await read { connection in
            try connection.execute(RejectionWalk.planning)
            guard let range = try filter.range(after: after, connection),
                let walk = try RejectionWalk(filter, range, connection)
            else { return RejectionPage(rejections: [], next: nil) }
            let found = try walk.rejections(limit: limit + 1, connection)
            let page = Array(found.prefix(limit))
            return RejectionPage(
                rejections: page, next: found.count > limit ? page.last?.position : nil)
        }
    }

    /// Counts all of them: a scan.
    public func summary(
        _ filter: RejectionFilter
    ) async throws(RejectionSourceError) -> RejectionSummary {
        try await read { connection in
            guard let range = try filter.range(after: nil, connection) else {
                return RejectionSummary()
            }
            return try RejectionCounts(filter, range).count(connection)
        }
    }

    /// Looks up the row's retries and what closed it.
    public func life(
        of position: Position, root: Position
    ) async throws(RejectionSourceError) -> RejectionLife {
        try await read { connection in
            let state = try connection.query(
                "SELECT state FROM daybook.rejections WHERE position = $1", [.int64(position)])
            let retries = try connection.query(
                """
                SELECT position FROM daybook.rejections WHERE retry_of = $1
                 ORDER BY position LIMIT \(RejectionLife.retryCountMax)
                """, [.int64(root)], format: .binary)
            let closing = try connection.query(
                "SELECT \(RejectionRow.closingColumns) FROM daybook.rejection_closings x "
                    + "WHERE x.rejection = $1", [.int64(root)], format: .binary)
            return RejectionLife(
                state: state.first?.text(0).flatMap(RejectionState.init),
                retries: retries.compactMap { $0.int64(0) },
                closing: closing.first.flatMap { RejectionRow.closing($0, from: 0) })
        }
    }

    private func read<Value: Sendable>(
        _ body: @Sendable (PostgresConnection) throws -> Value
    ) async throws(RejectionSourceError) -> Value {
        do {
            return try await sessions.withConnection { connection in
                try connection.transaction(isolation: .repeatableRead, readOnly: true) {
                    try body(connection)
                }
            }
        } catch let refusal as ReadSessions.Refusal {
            switch refusal {
            case .busy: throw .busy
            case .unknownPlace: throw .unavailable("Postgres has not been reached yet")
            }
        } catch let error as PostgresError {
            switch error {
            case .timedOut: throw .timedOut(seconds: options.timeoutSeconds)
            case .cancelled: throw .unavailable("the query was cancelled")
            case _ where error.isTransient: throw .unavailable(error.description)
            case .server(let fault) where ["42P01", "3F000"].contains(fault.sqlState):
                throw .unavailable("the projector has not made its tables yet")
            default: throw .failed(error.description)
            }
        } catch {
            throw .failed("\(error)")
        }
    }
}
