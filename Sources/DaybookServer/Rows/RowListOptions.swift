import DaybookCatalog
import DaybookLog

/// What a client asks of `GET /v1/{table}`.
struct RowListOptions {
    /// How many rows a page may have.
    static let limitMax = 1_000

    private(set) var limit = 100
    /// The key of the row behind which the page begins, as its table's columns have it.
    private(set) var after: [String]?

    /// Reads the query's parameters.
    ///
    /// - Throws: 400 that names what is not understood, and what would be.
    init(
        _ parameters: [(name: String, value: String)], of table: Table, in catalog: Catalog
    ) throws(Problem) {
        for (name, value) in parameters {
            switch name {
            case "limit":
                guard let count = Int(value), (1...RowListOptions.limitMax).contains(count) else {
                    throw .badRequest(
                        "bad-option", "limit is a number from 1 to \(RowListOptions.limitMax)")
                }
                limit = count
            case "after": after = try RowListOptions.key(value, of: table, in: catalog)
            default:
                throw .badRequest(
                    "bad-option",
                    "there is no option \(name); there are limit, after, min_position and timeout")
            }
        }
    }

    private static func key(
        _ text: String, of table: Table, in catalog: Catalog
    ) throws(Problem) -> [String] {
        guard !table.key.isEmpty else {
            guard let position = Position(text), position >= 0 else {
                throw .badRequest(
                    "bad-option",
                    "\(table.name) is append-only: after is the ledger_position of a row")
            }
            return [String(position)]
        }
        do throws(PathKey.Fault) {
            return try PathKey.values(text, of: table, in: catalog)
        } catch {
            throw .badRequest(
                "bad-option",
                "after is `next` of the page before, percent-encoded like any parameter: "
                    + error.description)
        }
    }
}
