import SystemPackage

/// Everything this module throws.
///
/// `description` is safe for logs and callers: it never holds row data (no detail, no context, no
/// message that quotes a value). `debugDescription` may hold all of it.
public enum PostgresError: Error, Sendable {
    /// No connection could be made: the server is down, refuses, or the connection string is wrong.
    case connectionFailed(String)
    /// The connection broke in use. Work outside a transaction's COMMIT was rolled back.
    case connectionLost(String)
    /// The connection broke between COMMIT and its answer: the transaction may stand or not.
    /// Read what it would have changed before doing it again.
    case commitOutcomeUnknown(String)
    /// COMMIT answered ROLLBACK: a statement had failed and its error was swallowed.
    case transactionRolledBack
    /// The server reported an error.
    case server(ServerError)
    /// A time limit passed: the statement timeout, or a wait for a cluster to start or stop.
    case timedOut(String)
    /// The statement was cancelled, by our own canceller or by an operator.
    case cancelled
    /// The call does not fit the server's answer, for example `copyIn` with a SELECT.
    case misuse(String)
    /// A text parameter holds a NUL, which Postgres cannot store. Parameters count from 1.
    case nulInParameter(Int)
    /// A migration file cannot be applied.
    case migration(file: String, problem: MigrationProblem)
    /// No Postgres server programs were found (of the major version wanted, if one is).
    case serverProgramsMissing(majorVersion: Int?)
    /// The user who must run the private cluster cannot reach its folder: choose another place.
    case clusterUnreachable(path: String, user: String)
    /// The private cluster could not be made, started or stopped; `log` holds its last words.
    case clusterFailed(String, log: String)
    /// A system call failed.
    case system(call: String, path: String, Errno)

    /// Why a migration file cannot be applied.
    public enum MigrationProblem: Sendable {
        /// The name is not `NNNN_name.sql`.
        case badName
        /// Another file has the same number.
        case duplicateNumber
        /// The file was applied before, with another text.
        case changed
        /// The database has applied it, but the folder does not hold it: the program is older.
        case missing
        /// A file with a higher number has been applied already.
        case outOfOrder
        /// The file ends the transaction it runs in.
        case endsTransaction
        /// The server refused a statement in it, near that line (from 1) where it says so.
        case failed(line: Int?, ServerError)
    }
}

/// An error the server reported, by the fields of the protocol's ErrorResponse (PostgreSQL
/// documentation, 55.8). Names of schema objects are not row data; messages can be.
public struct ServerError: Error, Sendable, Equatable {
    /// The five-character SQLSTATE.
    public var sqlState: String
    /// The primary message. Data exceptions (class 22) quote the value here.
    public var message: String
    /// The detail, which holds row data for violated constraints.
    public var detail: String?
    /// What the server suggests.
    public var hint: String?
    /// Where it happened, which holds row data for COPY.
    public var context: String?
    /// Where in the SQL text the error stands, in characters from 1.
    public var characterPosition: Int?
    /// The schema of the table concerned.
    public var schema: String?
    /// The table concerned.
    public var table: String?
    /// The column concerned.
    public var column: String?
    /// The constraint concerned.
    public var constraint: String?

    /// Whether the message may quote a value: data exceptions, RAISE, and foreign data wrappers.
    var messageMayQuoteValues: Bool {
        sqlState.hasPrefix("22") || sqlState.hasPrefix("P0") || sqlState.hasPrefix("HV")
    }

    /// Whether the same statement may succeed when tried again: rollback by conflict, lack of
    /// resources, an operator's intervention, an I/O error.
    var isTransient: Bool {
        switch sqlState.prefix(2) {
        case "08", "40", "53", "58": true
        case "57": sqlState != "57014"
        default: sqlState == "55P03"
        }
    }
}

extension PostgresError {
    /// Whether trying again, later and unchanged, makes sense. After `commitOutcomeUnknown` read
    /// first what the transaction would have changed.
    public var isTransient: Bool {
        switch self {
        case .connectionFailed, .connectionLost, .commitOutcomeUnknown, .timedOut: true
        case .server(let error): error.isTransient
        default: false
        }
    }
}

extension ServerError: CustomStringConvertible, CustomDebugStringConvertible {
    /// For logs and callers: holds no row data.
    public var description: String {
        let table = [schema, table].compactMap(\.self).joined(separator: ".")
        let place = [
            table.isEmpty ? nil : "table \(table)",
            column.map { "column \($0)" },
            constraint.map { "constraint \($0)" },
        ].compactMap(\.self).joined(separator: ", ")
        let what = messageMayQuoteValues ? "message withheld, it may quote a value" : message
        return "Postgres error \(sqlState): \(what)" + (place.isEmpty ? "" : " (\(place))")
    }

    /// For a developer: may hold row data.
    public var debugDescription: String {
        let more = [
            detail.map { "detail: \($0)" }, hint.map { "hint: \($0)" },
            context.map { "context: \($0)" },
        ].compactMap(\.self)
        return (["\(sqlState): \(message)"] + more).joined(separator: "; ")
    }
}

extension PostgresError: CustomStringConvertible, CustomDebugStringConvertible {
    /// For logs and callers: holds no row data.
    public var description: String {
        switch self {
        case .connectionFailed(let why): "cannot connect to Postgres: \(why)"
        case .connectionLost(let why): "the connection to Postgres was lost: \(why)"
        case .commitOutcomeUnknown(let why):
            "the connection was lost at COMMIT, its outcome is unknown: \(why)"
        case .transactionRolledBack:
            "COMMIT rolled back: a statement in the transaction had failed"
        case .server(let error): error.description
        case .timedOut(let what): "timed out: \(what)"
        case .cancelled: "the statement was cancelled"
        case .misuse(let what): what
        case .nulInParameter(let number):
            "text parameter \(number) holds a NUL, which Postgres cannot store"
        case .migration(let file, let problem): "migration \(file): \(problem)"
        case .serverProgramsMissing(let majorVersion):
            "no Postgres server programs\(majorVersion.map { " of version \($0)" } ?? "") found: "
                + "install the package postgresql\(majorVersion.map { "-\($0)" } ?? "")"
        case .clusterUnreachable(let path, let user):
            "user \(user), who must run the private Postgres, cannot reach \(path)"
        case .clusterFailed(let what, let log): log.isEmpty ? what : "\(what):\n\(log)"
        case .system(let call, let path, let errno): "\(call) \(path): \(errno)"
        }
    }

    /// For a developer: may hold row data.
    public var debugDescription: String {
        if case .server(let error) = self { return error.debugDescription }
        return description
    }
}

extension PostgresError.MigrationProblem: CustomStringConvertible {
    /// What is wrong with the file, and what to do.
    public var description: String {
        switch self {
        case .badName: "its name is not NNNN_name.sql"
        case .duplicateNumber: "another file has the same number"
        case .changed:
            "it has been applied and was changed since; put its text back and add a new file"
        case .missing:
            "the database has applied it, but the folder does not hold it: "
                + "this program is older than the database"
        case .outOfOrder: "a file with a higher number has been applied already"
        case .endsTransaction: "it ends the transaction that it runs in"
        case .failed(let line, let error):
            (line.map { "line \($0): " } ?? "") + error.description
        }
    }
}
