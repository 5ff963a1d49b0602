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

    /// For a developer's eyes: may hold row data.
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

    /// For a developer's eyes: may hold row data.
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
