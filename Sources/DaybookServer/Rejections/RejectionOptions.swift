import DaybookCatalog
import DaybookIntake
import DaybookLog
import Hummingbird

/// A filter of rejections in words, as a query or the command line has it.
public struct RejectionQuery: Sendable {
    /// What can be asked for, by the names that a query uses.
    public static let names = [
        "table", "code", "column", "state", "source", "principal", "batch", "since", "until",
    ]
    /// How many rejections a page may have.
    public static let limitMax = 1_000
    /// How many a page has unless somebody says.
    public static let limitDefault = 100

    /// What is not understood, and what would be.
    public struct Mistake: Error, Sendable {
        /// A sentence for whoever asked.
        public let description: String
    }

    /// What was understood so far.
    public private(set) var filter = RejectionFilter()

    /// Asks for everything.
    public init() {}

    /// Takes one condition; false if there is none of that name.
    ///
    /// - Throws: `Mistake` for a value that cannot be.
    public mutating func take(_ name: String, _ value: String) throws(Mistake) -> Bool {
        guard !value.utf8.contains(0) else {
            throw Mistake(description: "\(name) holds a zero byte")
        }
        switch name {
        case "table": filter.tables = [value]
        case "code":
            let known = RejectionCode.allCases.map(\.name)
            guard known.contains(value) else {
                throw Mistake(
                    description: "there is no code \(value); there are "
                        + known.joined(separator: ", "))
            }
            filter.code = value
        case "column": filter.column = value
        case "state":
            guard let state = RejectionState(rawValue: value) else {
                throw Mistake(
                    description: "there is no state \(value); there are "
                        + RejectionState.allCases.map(\.rawValue).joined(separator: ", "))
            }
            filter.state = state
        case "source": filter.source = value
        case "principal": filter.principal = value
        case "batch":
            guard (try? ScalarValue(text: value, type: .uuid)) != nil else {
                throw Mistake(description: "batch is the id of a batch, a UUID of 36 characters")
            }
            filter.batch = value
        case "since": filter.since = try RejectionQuery.time(name, value)
        case "until": filter.until = try RejectionQuery.time(name, value)
        default: return false
        }
        return true
    }

    private static func time(_ name: String, _ value: String) throws(Mistake) -> Microseconds {
        guard case .timestamp(let time)? = try? ScalarValue(text: value, type: .timestamp) else {
            throw Mistake(
                description: "\(name) is a time with an offset, such as 2026-11-25T14:03:00Z or "
                    + "2026-11-25T14:03:00+01:00 (in a URL + is %2B)")
        }
        return time
    }
}

/// What a client asks of `GET /v1/rejections` and its summary.
struct RejectionOptions {
    private(set) var filter: RejectionFilter
    private(set) var after: Position?
    private(set) var limit = RejectionQuery.limitDefault
    /// Only open rows that would be accepted now.
    private(set) var isEligible = false

    /// Reads the query's parameters; `isPaged` says that there are `limit` and `after`.
    ///
    /// - Throws: a problem that names what is not understood; 404 for a table that the dictionary
    ///   does not have, 403 for one that is not the caller's.
    init(
        _ parameters: [(name: String, value: String)], isPaged: Bool, catalog: Catalog,
        caller: Caller
    ) throws(Problem) {
        var query = RejectionQuery()
        for (name, value) in parameters {
            switch name {
            case "limit" where isPaged:
                guard let count = Int(value), (1...RejectionQuery.limitMax).contains(count) else {
                    throw .badRequest(
                        "bad-option", "limit is a number from 1 to \(RejectionQuery.limitMax)")
                }
                limit = count
            case "after" where isPaged:
                guard let position = Position(value), position >= 0 else {
                    throw .badRequest("bad-option", "after is a position, 0 or more")
                }
                after = position
            case "eligible" where isPaged:
                guard ["true", "false"].contains(value) else {
                    throw .badRequest("bad-option", "eligible is true or false")
                }
                isEligible = value == "true"
            default:
                let isKnown: Bool
                do throws(RejectionQuery.Mistake) {
                    isKnown = try query.take(name, value)
                } catch {
                    throw .badRequest("bad-option", error.description)
                }
                guard isKnown else {
                    let known =
                        RejectionQuery.names + (isPaged ? ["eligible", "limit", "after"] : [])
                        + ["min_position", "timeout"]
                    throw .badRequest(
                        "bad-option",
                        "there is no option \(name); there are \(known.joined(separator: ", "))")
                }
            }
        }
        filter = query.filter
        if isEligible {
            guard [nil, .open].contains(filter.state) else {
                throw .badRequest("bad-option", "only open rejections are eligible")
            }
            filter.state = .open
        }
        if let table = filter.tables?.first {
            guard catalog.table(named: table) != nil else { throw .unknownTable(table) }
            guard caller.mayTouch(table) else {
                throw .forbidden("the key \(caller.principal) is not for table \(table)")
            }
        } else {
            filter.tables = caller.tables?.sorted()
        }
    }
}
