import Postgres

/// Moving: the new tables go to a schema of their own, and the live ones stay.
extension Rebuild {
    /// The schema in which new tables stand until they are swapped in, moved or dropped.
    public static var buildSchema: String { ProjectionTables.buildSchema }

    /// Moves the new tables of all rebuilds to `schema`, which is made if it is not there, in one
    /// transaction.
    ///
    /// - Throws: `RebuildError.obstacle` if a table of the name is there already.
    public static func move(
        _ rebuilds: [Rebuild], to schema: String, comment: String
    ) throws {
        guard let connection = rebuilds.first?.built?.connection else { return }
        let target = SQL.identifier(schema)
        try connection.transaction {
            try connection.execute("CREATE SCHEMA IF NOT EXISTS \(target)")
            try connection.execute("COMMENT ON SCHEMA \(target) IS \(SQL.literal(comment))")
            for rebuild in rebuilds {
                for table in rebuild.tables.tables {
                    let name = SQL.identifier(schema, table)
                    if try rebuild.exists(name, connection) {
                        throw RebuildError.obstacle(
                            "there is a table \(name) already: drop it, or name another schema")
                    }
                    let built = rebuild.tables.build(table)
                    try connection.execute("ALTER TABLE \(built) RESET (autovacuum_enabled)")
                    try connection.execute("ALTER TABLE \(built) SET SCHEMA \(target)")
                }
                try RebuildRecord.abandon(connection, rebuild.name)
            }
        }
        for rebuild in rebuilds { rebuild.built = nil }
    }
}
