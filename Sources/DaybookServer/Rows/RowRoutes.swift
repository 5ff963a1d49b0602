import Avro
import DaybookCatalog
import DaybookLog
import HTTPTypes
import Hummingbird

/// `GET /v1/{table}` and `GET /v1/{table}/{key}`: the rows that stand, as Postgres has them.
struct RowRoutes: Sendable {
    let source: any RowSource
    let projections: any ProjectionStatusSource
    let catalog: Catalog

    /// A page of rows in the order of their key.
    func list(_ request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.read)
        let table = try table(context, caller)
        let reading = try ReadOptions(request)
        let options = try RowListOptions(reading.others, of: table, in: catalog)
        let position = try await reading.wait(for: projections, [table.name])
        let page: RowPage
        do throws(RowSourceError) {
            page = try await source.page(of: table, after: options.after, limit: options.limit)
        } catch {
            throw Problem(error, of: table)
        }
        let next = page.hasMore ? page.lastKey(of: table).map(PathKey.text) : nil
        var headers: HTTPFields = [.daybookPosition: String(position)]
        if let next {
            headers[.daybookNext] = next
            let after = PathKey.text([next])
            headers[.link] = "<?limit=\(options.limit)&after=\(after)>; rel=\"next\""
        }
        if request.headers[.accept].prefersCSV {
            return Response(csv: page.csv(of: table), headers: headers)
        }
        var json = JSONWriter(capacity: 16 << 10)
        json.openObject()
        json.key("rows")
        json.openArray()
        for row in 0..<page.rows.rowCount { page.rows.write(row: row, to: &json) }
        json.closeArray()
        json.field("next", next)
        json.closeObject()
        headers[.vary] = "accept"
        return Response(status: .ok, json: json, headers: headers)
    }

    /// The row of a key.
    func one(_ request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.read)
        let table = try table(context, caller)
        let reading = try ReadOptions(request)
        if let other = reading.others.first {
            throw Problem.badRequest(
                "bad-option",
                "there is no option \(other.name); there are min_position and timeout")
        }
        let key: [String]
        do throws(PathKey.Fault) {
            key = try PathKey.values(
                context.parameters.get("key") ?? "", of: table, in: catalog)
        } catch {
            throw Problem.badRequest("bad-key", error.description)
        }
        let position = try await reading.wait(for: projections, [table.name])
        let page: RowPage
        do throws(RowSourceError) {
            page = try await source.row(of: table, key: key)
        } catch {
            throw Problem(error, of: table)
        }
        guard page.rows.rowCount > 0 else { throw Problem.noRow(of: table, below: position) }
        var headers: HTTPFields = [.daybookPosition: String(position)]
        if request.headers[.accept].prefersCSV {
            return Response(csv: page.csv(of: table), headers: headers)
        }
        var json = JSONWriter(capacity: 2 << 10)
        page.rows.write(row: 0, to: &json)
        headers[.vary] = "accept"
        return Response(status: .ok, json: json, headers: headers)
    }

    private func table(_ context: ServerContext, _ caller: Caller) throws(Problem) -> Table {
        let name = context.parameters.get("table")?.removingPercentEncoding ?? ""
        guard let table = catalog.table(named: name) else {
            guard catalog.aggregate(named: name) == nil else { throw .aggregate(name) }
            throw .unknownTable(name)
        }
        guard caller.mayTouch(name) else {
            throw .forbidden("the key \(caller.principal) is not for table \(name)")
        }
        return table
    }
}

extension RowPage {
    /// The key of the last row, as text; nil if there is no row.
    fileprivate func lastKey(of table: Table) -> [String]? {
        guard rows.rowCount > 0 else { return nil }
        let columns = table.key.isEmpty ? [rows.columns.count - 1] : table.key
        let values = columns.map { rows.value(row: rows.rowCount - 1, column: $0) }
        return values.contains(nil) ? nil : values.compactMap(\.self)
    }

    /// The dictionary's columns, as `daybook import --header` takes them: without the ledger's own.
    fileprivate func csv(of table: Table) -> Bytes { rows.csv(columnCount: table.columns.count) }
}

extension Problem {
    fileprivate static func aggregate(_ name: String) -> Problem {
        Problem(
            .notFound, "unknown-table", title: "No such table",
            detail: "\(name) is an aggregate: read it by a report, or in Postgres by SQL")
    }

    fileprivate static func noRow(of table: Table, below position: Position) -> Problem {
        .notFound(
            "no row of \(table.name) has this key, of the events below position \(position); "
                + "/v1/\(table.name)/{key}/history tells whether one was retracted, and "
                + "min_position=N waits for what was just appended")
    }

    /// What it means to a client that rows cannot be read.
    fileprivate init(_ error: RowSourceError, of table: Table) {
        switch error {
        case .unavailable:
            self = Problem(
                .serviceUnavailable, "postgres-unavailable", title: "Postgres is not there",
                detail: "appends go on, reads of rows do not; `daybook status` says more"
            ).retrying(afterSeconds: 5)
        case .busy:
            self = Problem(
                .serviceUnavailable, "rows-busy", title: "Too many reads wait",
                detail: "ask again later"
            ).retrying(afterSeconds: 2)
        case .timedOut(let seconds):
            self = Problem(
                .gatewayTimeout, "rows-timeout", title: "The read takes too long",
                detail: "it ran longer than \(seconds) s and was ended: take a smaller limit, and "
                    + "see what holds Postgres up")
        case .notMade:
            self = Problem(
                .serviceUnavailable, "behind",
                title: "What was asked for is not in Postgres yet",
                detail: "Postgres has no table \(table.name) as the dictionary has it; "
                    + "`daybook status` says whether it is being built, or what keeps it"
            ).retrying(afterSeconds: 5)
        case .failed(let why):
            self = Problem(
                .internalServerError, "rows-failed", title: "Postgres refused the query",
                detail: why)
        }
    }
}
