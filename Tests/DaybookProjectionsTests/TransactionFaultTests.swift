import DaybookLog
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// Fault 29 where it hurts: the checkpoint has moved and the rows are on their way, in one
/// transaction that Postgres never commits.
@Suite struct TransactionFaultTests {
    enum Blow: CaseIterable, Sendable {
        /// `pg_terminate_backend`
        case backendTerminated
        /// kill -9 of the backend: Postgres ends all others and recovers.
        case backendKilled
        /// SIGQUIT, the immediate stop, and another start.
        case immediateStop
        /// kill -9 of the postmaster, and another start.
        case postmasterKilled
    }

    @Test(
        "Fault 29: Postgres goes in mid-transaction: rows and checkpoint go back together",
        arguments: Blow.allCases)
    func midTransaction(_ blow: Blow) async throws {
        let folder = try TemporaryFolder()
        let cluster = PrivateCluster(dataDirectory: folder.path("postgres"))
        var running = try await cluster.start()
        let world = try await World().withDatabase(running.conninfo)
        let projector = world.projector {
            guard let running = PrivateCluster.running(dataDirectory: folder.path("postgres"))
            else { throw PostgresError.connectionFailed("it does not run") }
            return try PostgresConnection(
                .init(conninfo: running.conninfo, applicationName: "projector"))
        }
        projector.start()
        try world.appendJobs(50)
        #expect(await world.waitWhileMoving(projector, until: 50))
        do {
            // Whoever holds the table stops the projector inside its transaction, at the COPY.
            let holder = try PostgresConnection(.init(conninfo: running.conninfo))
            try holder.execute("BEGIN")
            try holder.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            try world.appendJobs(50)
            let pid = try await world.blockedBackend(besides: nil)
            try strike(blow, backend: pid, postmaster: running.processIdentifier, holder)
            if blow == .backendTerminated || blow == .backendKilled {
                // What it had done is undone; it tries again, and is stopped again.
                if blow == .backendTerminated {
                    _ = try await world.blockedBackend(besides: pid)
                    #expect(
                        try holder.query("SELECT count(*) FROM jobs").first?.text(0) == "50")
                    let places = try holder.query(
                        "SELECT position FROM daybook.checkpoints WHERE projection = 'jobs'")
                    #expect(places.first?.text(0) == "50")
                    try holder.execute("ROLLBACK")
                }
            } else {
                running = try await cluster.start()
            }
        }
        try world.appendJobs(10)
        #expect(await world.waitWhileMoving(projector, until: 110))
        #expect(projector.statuses.allSatisfy { $0.state == .running }, "\(projector.statuses)")
        await projector.stop()
        try world.withDatabase(running.conninfo).expectExactlyOnce()
        try await cluster.stop()
    }

    private func strike(
        _ blow: Blow, backend: pid_t, postmaster: pid_t, _ holder: PostgresConnection
    ) throws {
        switch blow {
        case .backendTerminated:
            _ = try holder.query("SELECT pg_terminate_backend(\(backend))")
        case .backendKilled: kill(backend, SIGKILL)
        case .immediateStop: kill(postmaster, SIGQUIT)
        case .postmasterKilled: kill(postmaster, SIGKILL)
        }
        guard blow == .immediateStop || blow == .postmasterKilled else { return }
        for _ in 0..<2_000 where kill(postmaster, 0) == 0 {
            waitpid(postmaster, nil, WNOHANG)
            usleep(5_000)
        }
    }
}

extension World {
    /// The projector's backend as soon as it waits for a lock; another one than `known`.
    func blockedBackend(besides known: pid_t?) async throws -> pid_t {
        let waiting =
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'projector'"
            + " AND wait_event_type = 'Lock' AND state = 'active'"
        for _ in 0..<3_000 {
            let found = try psql(waiting).split(separator: "\n").compactMap { pid_t($0) }
            if let pid = found.first(where: { $0 != known }) { return pid }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw PsqlFailure(text: "no backend waits")
    }

    /// Waits until everything below `position` is applied, for as long as something moves: however
    /// slow the machine is, it is not what is tested.
    func waitWhileMoving(_ projector: Projector, until position: Position) async -> Bool {
        var last = ""
        var standstillCount = 0
        for _ in 0..<150 where standstillCount < 30 {
            if await projector.waitUntilApplied(position, timeoutSeconds: 2) { return true }
            let now = "\(projector.statuses) \(projector.postgres)"
            standstillCount = now == last ? standstillCount + 1 : 0
            last = now
        }
        return false
    }
}
