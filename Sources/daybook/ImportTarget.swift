import Avro
import DaybookLedger
import DaybookLog
import DaybookSegments
import DaybookServer
import Foundation
import NIOCore

/// Where an import goes: to the server that runs on the ledger, or, where none runs, to the ledger
/// itself, which the command then holds until it is done.
enum ImportTarget {
    case server(LocalClient)
    case own(Composition)

    /// How long a starting or stopping server is waited for.
    private static let patienceSeconds = 10.0

    /// Finds the server, or takes the ledger and begins to project.
    static func find(
        _ settings: Settings, projects: Bool = true
    ) async throws -> ImportTarget {
        let deadline = ContinuousClock.now + .seconds(patienceSeconds)
        while true {
            if let client = LocalClient(dataFolder: settings.dataFolder) { return .server(client) }
            do {
                let composition = try Composition.open(settings, logger: ServerLog.silent)
                if projects { composition.projections.start() }
                return .own(composition)
            } catch LogError.locked(let holder) {
                // A server that starts has the lock before it listens, and one that stops after.
                guard ContinuousClock.now < deadline else { throw LogError.locked(by: holder) }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Reads the file once; `pass` says what for, where there is a limit.
    func importFile(
        _ request: ImportRequest, byteCount: Int64, body: FileChunks,
        limit: RejectLimit? = nil, pass: ImportLimit.Pass = .watched
    ) async throws -> ImportReport {
        switch self {
        case .server(let client):
            return try await client.importFile(
                request, byteCount: byteCount, body: body, limit: limit, pass: pass)
        case .own(let composition):
            var chunks = body.makeAsyncIterator()
            let importer = try composition.importer(of: request.table)
            let next = {
                try await chunks.next().map { $0.withUnsafeReadableBytes { Bytes(copying: $0) } }
            }
            let summary =
                if pass == .check, let limit {
                    try await importer.check(request, limit: limit, next: next)
                } else {
                    try await importer.run(
                        request, limit: limit, stopsEarly: pass == .keepGood, next: next)
                }
            return ImportReport(summary)
        }
    }

    /// Waits until Postgres has all of it, if it is ours to do, and lets go.
    func finish() async throws {
        guard case .own(let composition) = self else { return }
        let isProjected = await composition.projections.projectToEnd { lag in
            Console.progress("projecting: \(lag) events to go")
        }
        Console.endProgress()
        if !isProjected {
            Console.error(
                "daybook: the rows are in the log; Postgres could not be reached "
                    + "(\(composition.projections.fault ?? "no answer")), "
                    + "so they get there when `daybook serve` reaches it")
        }
        try await composition.close()
    }

    /// Lets go after a failure.
    func abandon() async {
        guard case .own(let composition) = self else { return }
        try? await composition.close()
    }
}
