import DaybookCatalog
import DaybookLedger
import DaybookLog
import Foundation
import HTTPTypes
import Hummingbird

/// `GET /v1/{table}/{key}/history`: where the rows of a key came from, read from the log alone.
///
/// A history looks through the log, so one is made at a time, and so many wait for their turn.
struct HistoryRoute: Sendable {
    let log: any LogSource
    let catalog: Catalog
    let keeper: any BackupKeeper
    let places: Places
    private let lane = DispatchQueue(label: "daybook.history")

    init(
        log: any LogSource, catalog: Catalog, keeper: any BackupKeeper, places: Places
    ) {
        self.log = log
        self.catalog = catalog
        self.keeper = keeper
        self.places = places
    }

    func respond(_ request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.read)
        let after = try after(ReadOptions(request))
        let key = try key(context, caller)
        guard let place = places.take() else {
            throw Problem(
                .tooManyRequests, "histories-busy", title: "Many histories are asked for",
                detail: "one is made at a time, and \(places.limit) wait: ask again"
            ).retrying(afterSeconds: 5)
        }
        let history = try await history(of: key, after: after)
        withExtendedLifetime(place) {}
        guard history.presence != .absent else {
            throw Problem.notFound(
                "no row of \(key.table.name) was ever accepted with this key; one that was "
                    + "rejected is among /v1/rejections?table=\(key.table.name)")
        }
        let backups = await backups(for: caller)
        var json = JSONWriter(capacity: 2 << 10)
        do throws(EventTextError) {
            try json.write(
                history, backups: backups, ledger: log.ledger.description,
                for: HistoryReader(caller))
        } catch {
            throw Problem(
                .internalServerError, "unreadable-row", title: "A row cannot be read",
                detail: "\(error.what); see `daybook log verify`")
        }
        return Response(
            status: .ok, json: json, headers: [.daybookPosition: String(history.position)])
    }

    /// `min_position` is understood and asks for nothing: the log is ahead of every projection.
    private func after(_ options: ReadOptions) throws(Problem) -> Position? {
        var after: Position?
        for (name, value) in options.others {
            guard name == "after" else {
                throw .badRequest(
                    "bad-option",
                    "there is no option \(name); there are after, min_position and timeout")
            }
            guard let position = Position(value), position >= 0 else {
                throw .badRequest("bad-option", "after is a position, 0 or more")
            }
            after = position
        }
        return after
    }

    private func key(_ context: ServerContext, _ caller: Caller) throws(Problem) -> AskedKey {
        let name = context.parameters.get("table")?.removingPercentEncoding ?? ""
        guard let table = catalog.table(named: name) else { throw .unknownTable(name) }
        guard caller.mayTouch(name) else {
            throw .forbidden("the key \(caller.principal) is not for table \(name)")
        }
        let text = context.parameters.get("key") ?? ""
        guard let values = HistoryRoute.values(text, count: table.key.count) else {
            throw .badRequest("bad-key", "the key is not percent-encoded UTF-8")
        }
        do throws(KeyFault) {
            return try AskedKey(values, of: name, in: catalog)
        } catch {
            throw .badRequest("bad-key", error.description)
        }
    }

    /// The values of a key as it stands in a path: `a,b`, percent-encoded. A comma that belongs to
    /// a value of several is `%2C`; where the commas between them are encoded too, none does.
    static func values(_ text: String, count: Int) -> [String]? {
        let parts = count == 1 ? [Substring(text)] : text.split(
            separator: ",", omittingEmptySubsequences: false)
        let values = parts.compactMap(\.removingPercentEncoding)
        guard values.count == parts.count else { return nil }
        guard count > 1, values.count == 1 else { return values }
        return values[0].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    private func history(
        of key: AskedKey, after: Position?
    ) async throws(Problem) -> KeyHistory {
        let result = await withCheckedContinuation { continuation in
            lane.async { [log, catalog] in
                continuation.resume(
                    returning: Result { () throws(LedgerError) in
                        try KeyHistory(of: key, by: catalog, in: log, after: after)
                    })
            }
        }
        do throws(LedgerError) { return try result.get() } catch { throw Problem(error) }
    }

    /// The reason of a failure may name paths and hosts, which only who runs the ledger is told.
    private func backups(for caller: Caller) async -> HistoryBackups {
        let listing = await offPool { [keeper] in
            Result { () throws(BackupFailure) in try keeper.listing() }
        }
        do throws(BackupFailure) {
            return .listed(try listing.get().backups)
        } catch {
            let isTold = caller.scopes.contains(.admin) && caller.tables == nil
            return .unknown(
                reason: isTold
                    ? error.reason
                    : "the place of the backups cannot be read; a key with the scope admin, for "
                        + "all tables, is told why")
        }
    }
}
