import ArgumentParser
import DaybookCatalog
import DaybookLog
import DaybookProjections
import DaybookServer

/// Which rejections a command is about: the same conditions as over HTTP.
struct RejectionFilterOptions: ParsableArguments {
    @Option(help: "Only rejections of this table.")
    var table: String?

    @Option(help: "Only those with this code among their reasons, such as missing_field.")
    var code: String?

    @Option(help: "Only those with a reason that names this column.")
    var column: String?

    @Option(help: "Only those that are open, corrected or waived.")
    var state: String?

    @Option(help: "Only those from here: http, or csv: and a file's name.")
    var source: String?

    @Option(help: "Only those that this key or user sent.")
    var principal: String?

    @Option(help: "Only those of the batch with this id.")
    var batch: String?

    @Option(help: "Only those received then or later, such as 2026-11-25T14:03:00+01:00.")
    var since: String?

    @Option(help: "Only those received before then.")
    var until: String?

    func validate() throws { _ = try filter() }

    /// The filter that the options say.
    ///
    /// - Throws: `ValidationError` for a value that cannot be.
    func filter() throws -> RejectionFilter {
        var query = RejectionQuery()
        let given = [
            ("table", table), ("code", code), ("column", column), ("state", state),
            ("source", source), ("principal", principal), ("batch", batch), ("since", since),
            ("until", until),
        ]
        for case (let name, let value?) in given {
            do {
                _ = try query.take(name, value)
            } catch {
                throw ValidationError("--\(error.description)")
            }
        }
        return query.filter
    }
}

/// Rejections as a command reads them: beside a server or without.
struct RejectionSide {
    let side: ReadSide
    let source: RejectionReader

    /// So many rejections are read at once.
    private static let pageCount = 500

    /// Finds the read side, lets `body` use it, and lets go.
    static func use<Value>(
        _ settings: Settings, _ body: (RejectionSide) async throws -> Value
    ) async throws -> Value {
        let side = try await ReadSide.open(settings)
        var options = RejectionReader.Options()
        options.connectionCount = 1
        let source = RejectionReader(options: options) { [conninfo = side.conninfo] in conninfo }
        let value: Value
        do {
            value = try await body(RejectionSide(side: side, source: source))
        } catch {
            try? await side.close()
            throw (error as? RejectionSourceError).map { CommandFailure($0) } ?? error
        }
        try await side.close()
        return value
    }

    /// The table of this name.
    ///
    /// - Throws: `CommandFailure` if the dictionary has none.
    func table(named name: String) throws(CommandFailure) -> Table {
        guard let table = side.catalog.table(named: name) else {
            throw CommandFailure(
                .usage,
                "the dictionary has no table \(name); there are "
                    + side.catalog.tables.map(\.name).joined(separator: ", "))
        }
        return table
    }

    /// Gives `body` all rejections that pass, page by page: at least one, which may be empty.
    ///
    /// - Returns: what a next page would come after; nil if there is none.
    func forEachPage(
        _ filter: RejectionFilter, after: Position? = nil, limit: Int = .max,
        _ body: ([ProjectedRejection]) throws -> Void
    ) async throws -> Position? {
        if let table = filter.tables?.first { _ = try self.table(named: table) }
        var (after, left) = (after, limit)
        while true {
            let page = try await source.page(
                filter, after: after, limit: min(left, RejectionSide.pageCount))
            try body(page.rejections)
            left -= page.rejections.count
            guard let next = page.next, left > 0 else { return page.next }
            after = next
        }
    }
}

extension CommandFailure {
    /// Why a question about rejections has no answer.
    init(_ error: RejectionSourceError) {
        switch error {
        case .unavailable(let why):
            self.init(
                .unreachable, "Postgres: \(why); start it, or `daybook serve`, and ask again")
        case .busy: self.init(.failed, "too many questions wait; ask again later")
        case .timedOut(let seconds):
            self.init(
                .failed,
                "it took longer than \(seconds) s and was ended; narrow it, by --since or --code")
        case .failed(let why): self.init(.failed, "Postgres refused the query: \(why)")
        }
    }
}
