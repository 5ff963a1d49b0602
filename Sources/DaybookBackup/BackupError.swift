import DaybookLog

/// Why a backup was not made, read or restored. What a verification finds is no error.
public enum BackupError: Error, Sendable, Equatable {
    /// The storage did not do what it was asked.
    case storage(BackupStorageError)
    /// There is no such backup, or none at all.
    case notFound(String)
    /// A backup's manifest cannot be used, and why.
    case badManifest(String, String)
    /// The projections do not stand at one position: where each is.
    case notAtOnePosition([String])
    /// A table cannot be backed up, and why.
    case table(String, String)
    /// The database and the log, or the backup and the log, contradict each other.
    case contradiction(String)
    /// Another backup is being made.
    case busy
    /// The backup is not what it should be: what a verification found, in a sentence.
    case notProven(String, String)
    /// What was asked for cannot be: a target outside the log, a table that the backup lacks.
    case refused(String)
    /// Rows would refer to rows that are not there.
    case dangling([DanglingReference])
    /// The caller wanted it to end.
    case stopped
}

extension BackupError: CustomStringConvertible {
    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .storage(let error): error.description
        case .notFound(let what): what
        case .badManifest(let backup, let what):
            "the manifest of \(backup) cannot be used: \(what)"
        case .notAtOnePosition(let places):
            "the tables do not stand at one position (\(places.joined(separator: ", "))); see "
                + "`daybook projections list`, or back up some by --table"
        case .table(let table, let what):
            "\(table) cannot be backed up: \(what)"
        case .contradiction(let what), .refused(let what): what
        case .busy: "another backup is being made; wait for it"
        case .notProven(let backup, let what):
            "\(backup) is not what the log says, and nothing was touched: \(what); "
                + "`daybook backup verify` names every row"
        case .dangling(let references):
            references.map(\.text).joined(separator: "\n")
                + "\nnothing was touched; restore those tables too, or say --allow-dangling"
        case .stopped: "stopped; what was begun is taken away"
        }
    }
}

/// Runs `body`, and makes its storage's errors ours.
func storing<Value>(
    _ body: () throws(BackupStorageError) -> Value
) throws(BackupError) -> Value {
    do { return try body() } catch { throw .storage(error) }
}
