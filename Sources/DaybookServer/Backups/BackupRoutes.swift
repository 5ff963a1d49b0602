import Avro
import DaybookCatalog
import Hummingbird

/// `/v1/backups`: makes backups in the server's own place, and lists them.
struct BackupRoutes: Sendable {
    let keeper: any BackupKeeper
    let catalog: Catalog
    let bodies: BodyReceiver

    /// After so many seconds a client may ask again, while one is made.
    private static let retrySeconds = 5

    /// `GET`: the backups of the place, what runs, and what failed last.
    func list(_ request: Request, context: ServerContext) async throws -> Response {
        try authorize(context)
        try ReadOptions(request).refuseOthers()
        let listing = await offPool { [keeper] in
            Result { () throws(BackupFailure) in try keeper.listing() }
        }
        let status = keeper.status
        var json = JSONWriter(capacity: 4 << 10)
        json.openObject()
        do throws(BackupFailure) {
            try listing.get().writeMembers(to: &json)
        } catch {
            throw Problem(error)
        }
        json.key("running")
        if let running = status.running { running.write(to: &json) } else { json.null() }
        json.key("last_failure")
        if let failure = status.lastFailure { failure.write(to: &json) } else { json.null() }
        json.closeObject()
        return Response(status: .ok, json: json)
    }

    /// `POST`: begins a backup; 201 if it is made while the client waits, else 202.
    func make(_ request: Request, context: ServerContext) async throws -> Response {
        try authorize(context)
        let body = try await bodies.receive(request, context).bytes
        let wanted = try BackupRequest(request, body: body, catalog: catalog)
        let number: Int
        do throws(BackupRefusal) {
            number = try keeper.begin(wanted.order)
        } catch {
            throw Problem(error, retrySeconds: BackupRoutes.retrySeconds)
        }
        let location: HTTPFields = [.location: "/v1/backups"]
        var json = JSONWriter()
        guard let outcome = await outcome(of: number, seconds: wanted.waitSeconds) else {
            if let running = keeper.status.running {
                running.write(to: &json)
            } else {
                // It has just ended; whoever did not wait is told to look.
                json.openObject()
                json.field("state", "ended")
                json.closeObject()
            }
            return Response(status: .accepted, json: json, headers: location)
        }
        do throws(BackupFailure) {
            try outcome.get().write(to: &json)
        } catch {
            throw Problem(error)
        }
        return Response(status: .created, json: json, headers: location)
    }

    /// A backup has all tables, and so a key that is for some must not make or list any.
    private func authorize(_ context: ServerContext) throws(Problem) {
        let caller = try context.requireCaller(.admin)
        guard caller.tables == nil else {
            throw .forbidden(
                "a backup has any table, and the key \(caller.principal) is for some only")
        }
    }

    private func outcome(
        of number: Int, seconds: Double
    ) async -> Result<MadeBackup, BackupFailure>? {
        guard seconds > 0 else { return nil }
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if let outcome = keeper.outcome(of: number) { return outcome }
            guard ContinuousClock.now < deadline, !Task.isCancelled else { return nil }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}

extension Problem {
    /// What it means to a client that no backup was begun.
    fileprivate init(_ refusal: BackupRefusal, retrySeconds: Int) {
        switch refusal {
        case .busy(let activity):
            self = Problem(
                .conflict, "backup-running", title: "One is made at a time",
                detail: "a \(activity.kind.rawValue) runs since "
                    + "\(JSONWriter.text(time: activity.since)): \(activity.progress)"
            ).retrying(afterSeconds: retrySeconds)
        case .stopping: self = .stopping
        }
    }

    /// What it means to a client that a backup was not made, or that the place cannot be read.
    fileprivate init(_ failure: BackupFailure) {
        switch failure.kind {
        case .unavailable:
            self = Problem(
                .serviceUnavailable, "backup-unavailable",
                title: "Postgres or the place of the backups is not there", detail: failure.reason
            ).retrying(afterSeconds: 5)
        case .busy:
            self = Problem(
                .conflict, "backup-running", title: "One is made at a time",
                detail: failure.reason
            ).retrying(afterSeconds: 5)
        case .stopping: self = .stopping
        case .failed:
            self = Problem(
                .internalServerError, "backup-failed", title: "The backup was not made",
                detail: failure.reason)
        }
    }

    private static let stopping = Problem(
        .serviceUnavailable, "restarting", title: "The server is stopping",
        detail: "no backup was made: ask again"
    ).retrying(afterSeconds: 1)
}
