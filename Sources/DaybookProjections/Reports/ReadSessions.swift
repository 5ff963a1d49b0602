import Postgres
import Synchronization

/// A few connections for questions, each used by one question after the other.
///
/// A question that takes its time holds one connection; the others go on. Connections are made when
/// first needed and made anew when they were lost.
final class ReadSessions: Sendable {
    /// Why a question was not asked.
    enum Refusal: Error {
        /// Where Postgres is has not been found out yet.
        case unknownPlace
        /// As many run and wait as may.
        case busy
    }

    private struct State {
        /// Where the sessions lead to.
        var conninfo = ""
        var sessions: [PostgresSession] = []
        /// How many questions each session has.
        var loads: [Int] = []
    }

    private let applicationName: String
    private let connectionCount: Int
    private let waitingCount: Int
    private let conninfo: @Sendable () -> String?
    private let prepare: PostgresSession.Prepare
    private let state = Mutex(State())

    /// Sessions that lead where `conninfo` says; it is asked for every question, and nil or empty
    /// means that Postgres is not there. At most `waitingCount` wait for one of them.
    init(
        applicationName: String, connectionCount: Int, waitingCount: Int,
        conninfo: @escaping @Sendable () -> String?, prepare: @escaping PostgresSession.Prepare
    ) {
        precondition(connectionCount > 0, "a question needs a connection")
        self.applicationName = applicationName
        self.connectionCount = connectionCount
        self.waitingCount = waitingCount
        self.conninfo = conninfo
        self.prepare = prepare
    }

    /// Runs `body`, which only reads, with the connection that has the least to do; once more if
    /// that turns out to have been lost while nobody used it.
    ///
    /// - Throws: `Refusal`, and whatever the connection and `body` throw.
    func withConnection<Value: Sendable>(
        _ body: @Sendable (PostgresConnection) throws -> Value
    ) async throws -> Value {
        let (session, place) = try take()
        defer { state.withLock { state in state.loads[place] -= 1 } }
        do {
            return try await session.withConnection(body)
        } catch PostgresError.connectionLost {
            return try await session.withConnection(body)
        }
    }

    private func take() throws(Refusal) -> (PostgresSession, Int) {
        guard let conninfo = conninfo(), !conninfo.isEmpty else { throw .unknownPlace }
        let taken = state.withLock { state -> (PostgresSession, Int)? in
            if state.conninfo != conninfo {
                state.conninfo = conninfo
                state.sessions = (0..<connectionCount).map { _ in session(conninfo) }
                // What still runs over the old sessions gives its load back here.
                if state.loads.isEmpty { state.loads = state.sessions.map { _ in 0 } }
            }
            let waiting = state.loads.reduce(0, +) - connectionCount
            guard waiting < waitingCount,
                let place = state.loads.indices.min(by: { state.loads[$0] < state.loads[$1] })
            else { return nil }
            state.loads[place] += 1
            return (state.sessions[place], place)
        }
        guard let taken else { throw .busy }
        return taken
    }

    private func session(_ conninfo: String) -> PostgresSession {
        PostgresSession(
            .init(
                conninfo: conninfo, connectTimeoutSeconds: 3, applicationName: applicationName),
            prepare: prepare)
    }
}
