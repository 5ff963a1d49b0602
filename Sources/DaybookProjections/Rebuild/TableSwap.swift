import Postgres

/// Exchanges a projection's live tables with others of the same names, so that whoever reads sees
/// the one or the other and never neither: renames, inside the caller's transaction.
///
/// Rights and views go over to the table that comes in. A view holds on to a table's number, not
/// to its name; so views are made again from their text (`pg_get_viewdef`).
struct TableSwap {
    let connection: PostgresConnection
    let tables: ProjectionTables

    private struct View {
        let name: String
        let definition: String
    }

    /// Swaps the tables of `incoming` in; those that were live go to the schema of old ones.
    ///
    /// The first statement asks for the locks, and fails by `lock_timeout` if a reader keeps them.
    func run(from incoming: String) throws {
        let there = try tables.tables.filter { try exists(tables.live($0)) }
        if !there.isEmpty {
            let names = there.map { tables.live($0) }.joined(separator: ", ")
            try connection.execute("LOCK TABLE \(names) IN ACCESS EXCLUSIVE MODE")
        }
        // With nothing on the path, definitions name every table with its schema.
        try connection.execute("SET LOCAL search_path = pg_catalog")
        let views = try there.flatMap { try self.views(on: tables.live($0)) }
        let rights = try there.flatMap { try self.rights(on: $0) }
        for table in tables.tables {
            try exchange(table, from: incoming, isThere: there.contains(table))
            try connection.execute("ALTER TABLE \(tables.live(table)) RESET (autovacuum_enabled)")
        }
        for right in rights { try connection.execute(right) }
        for view in views {
            try connection.execute("CREATE OR REPLACE VIEW \(view.name) AS \(view.definition)")
        }
    }

    private func exchange(_ table: String, from incoming: String, isThere: Bool) throws {
        let source = SQL.identifier(incoming, table)
        let old = SQL.identifier(ProjectionTables.oldSchema)
        let parking = SQL.identifier(ProjectionTables.buildSchema)
        if incoming == ProjectionTables.oldSchema {
            if isThere {
                try connection.execute("ALTER TABLE \(tables.live(table)) SET SCHEMA \(parking)")
            }
        } else {
            try connection.execute("DROP TABLE IF EXISTS \(tables.old(table))")
            if isThere {
                try connection.execute("ALTER TABLE \(tables.live(table)) SET SCHEMA \(old)")
            }
        }
        try connection.execute(
            "ALTER TABLE \(source) SET SCHEMA \(SQL.identifier(tables.schema))")
        if incoming == ProjectionTables.oldSchema, isThere {
            try connection.execute("ALTER TABLE \(tables.build(table)) SET SCHEMA \(old)")
        }
    }

    private func exists(_ name: String) throws -> Bool {
        try connection.query("SELECT to_regclass($1) IS NOT NULL", [.text(name)])[0].bool(0) == true
    }

    /// The views on a table and the views on those, each after what it is made from.
    private func views(on table: String) throws -> [View] {
        let rows = try connection.query(
            """
            WITH RECURSIVE views (oid, depth) AS (
                SELECT to_regclass($1)::oid, 0
                UNION
                SELECT w.ev_class, v.depth + 1
                  FROM views v
                  JOIN pg_depend d ON d.refobjid = v.oid AND d.refclassid = 'pg_class'::regclass
                  JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
                  JOIN pg_class c ON c.oid = w.ev_class AND c.relkind = 'v'
                 WHERE w.ev_class <> v.oid
            )
            SELECT oid::regclass::text AS name, pg_get_viewdef(oid) AS definition
              FROM views WHERE depth > 0 GROUP BY oid ORDER BY max(depth), oid
            """, [.text(table)])
        return rows.compactMap { row in
            guard let name = row.text("name"), let definition = row.text("definition") else {
                return nil
            }
            return View(name: name, definition: definition)
        }
    }

    /// The statements that give the live table's owner and rights to the one that comes in.
    private func rights(on table: String) throws -> [String] {
        let live = tables.live(table)
        let rows = try connection.query(
            """
            SELECT format('ALTER TABLE %s OWNER TO %I', $1::text, pg_get_userbyid(relowner))
              FROM pg_class
             WHERE oid = to_regclass($1) AND pg_get_userbyid(relowner) <> current_user
            UNION ALL
            SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, $1::text,
                          CASE a.grantee WHEN 0 THEN 'PUBLIC'
                               ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                          CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
              FROM pg_class c, aclexplode(c.relacl) AS a
             WHERE c.oid = to_regclass($1) AND a.grantee <> c.relowner
            UNION ALL
            SELECT format('GRANT %s (%I) ON %s TO %s%s', a.privilege_type, t.attname, $1::text,
                          CASE a.grantee WHEN 0 THEN 'PUBLIC'
                               ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                          CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
              FROM pg_attribute t, aclexplode(t.attacl) AS a
             WHERE t.attrelid = to_regclass($1) AND NOT t.attisdropped
            """, [.text(live)])
        return rows.compactMap { $0.text(0) }
    }
}
