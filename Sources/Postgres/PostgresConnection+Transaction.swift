import CPostgres

extension PostgresConnection {
    /// How far a transaction is kept apart from others.
    public enum Isolation: String, Sendable {
        case readCommitted = "READ COMMITTED"
        case repeatableRead = "REPEATABLE READ"
        case serializable = "SERIALIZABLE"
    }

    /// Runs `body` in a transaction, which is committed when it returns and rolled back when it
    /// throws; what it threw is thrown on.
    ///
    /// Throws `commitOutcomeUnknown` when the connection was lost between COMMIT and its answer,
    /// and `transactionRolledBack` when `body` swallowed the error of a failed statement.
    /// Transactions do not nest.
    public func transaction<Value>(
        isolation: Isolation = .readCommitted, readOnly: Bool = false, _ body: () throws -> Value
    ) throws -> Value {
        precondition(PQtransactionStatus(handle) != PQTRANS_INTRANS, "transactions do not nest")
        let mode = readOnly ? "READ ONLY" : "READ WRITE"
        try execute("BEGIN ISOLATION LEVEL \(isolation.rawValue) \(mode)")
        let value: Value
        do {
            value = try body()
        } catch {
            // If this fails the connection is broken, and the server has rolled back by itself.
            try? execute("ROLLBACK")
            throw error
        }
        try commit()
        return value
    }

    private func commit() throws(PostgresError) {
        let answer: PostgresResult
        do throws(PostgresError) {
            answer = try query("COMMIT")
        } catch {
            guard case .connectionLost(let why) = error else { throw error }
            throw .commitOutcomeUnknown(why)
        }
        if answer.commandTag == "ROLLBACK" { throw .transactionRolledBack }
    }
}
