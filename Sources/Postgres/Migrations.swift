import FoundationEssentials

/// Brings a database up to date from a folder of files `NNNN_name.sql`.
///
/// Each file runs once, in the order of the numbers and in a transaction of its own, and is noted
/// with a digest of its text in the table `<schema>.migrations`. An applied file never changes:
/// what is to be different comes as a new file.
public struct Migrations: Sendable {
    /// One file of the folder.
    public struct File: Sendable, Equatable {
        /// The file's name, which is how the database knows it.
        public let name: String
        /// Its text: one or several statements, none of which ends the transaction.
        public let text: String

        /// A file by its name and text.
        public init(name: String, text: String) {
            self.name = name
            self.text = text
        }

        /// The number before the first underscore.
        var number: Int? {
            let digits = name.prefix { $0 != "_" }
            guard digits.count == 4, name.hasSuffix(".sql"), name.count > "0000_.sql".count
            else { return nil }
            return digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits) : nil
        }
    }

    private let files: [File]
    private let schema: String

    /// Migrations by their texts, in any order; their table stands in `schema`.
    public init(_ files: [File], schema: String) throws(PostgresError) {
        var taken: [Int: String] = [:]
        for file in files {
            guard let number = file.number else {
                throw .migration(file: file.name, problem: .badName)
            }
            guard taken.updateValue(file.name, forKey: number) == nil else {
                throw .migration(file: file.name, problem: .duplicateNumber)
            }
        }
        self.files = files.sorted { $0.name < $1.name }
        self.schema = schema
    }

    /// The migrations of a folder: every file that ends in `.sql`.
    public init(folder: String, schema: String) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        let files = try names.filter { $0.hasSuffix(".sql") }.map { name in
            File(name: name, text: try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8))
        }
        try self.init(files, schema: schema)
    }

    /// Applies what is missing; returns the names of the files applied now. Two callers at a time
    /// wait for each other.
    @discardableResult
    public func apply(on connection: PostgresConnection) throws -> [String] {
        let lock = "hashtextextended(\(SQL.literal("migrations of \(schema)")), 0)"
        try connection.execute("SELECT pg_advisory_lock(\(lock))")
        // When the connection is lost the lock goes with it.
        defer { try? connection.execute("SELECT pg_advisory_unlock(\(lock))") }

        try createTable(on: connection)
        let applied = try appliedDigests(on: connection)
        try check(applied: applied)
        var names: [String] = []
        for file in files {
            let digest = try self.digest(of: file, on: connection)
            switch applied[file.name] {
            case digest: continue
            case nil: try apply(file, digest: digest, on: connection)
            default: throw PostgresError.migration(file: file.name, problem: .changed)
            }
            names.append(file.name)
        }
        return names
    }

    private var table: String { SQL.identifier(schema, "migrations") }

    private func createTable(on connection: PostgresConnection) throws(PostgresError) {
        try connection.execute(
            """
            CREATE SCHEMA IF NOT EXISTS \(SQL.identifier(schema));
            CREATE TABLE IF NOT EXISTS \(table) (
                name       text PRIMARY KEY,
                digest     text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now());
            COMMENT ON TABLE \(table) IS
                'The migration files applied to this schema, with the SHA-256 of their text';
            """)
        // That schema and table exist already is no news.
        _ = connection.takeNotices()
    }

    private func appliedDigests(
        on connection: PostgresConnection
    ) throws(PostgresError) -> [String: String] {
        let rows = try connection.query("SELECT name, digest FROM \(table)")
        return Dictionary(uniqueKeysWithValues: rows.map { ($0.text(0)!, $0.text(1)!) })
    }

    /// What has been applied must be the first of our files.
    private func check(applied: [String: String]) throws(PostgresError) {
        let ours = Set(files.map(\.name))
        if let missing = applied.keys.filter({ !ours.contains($0) }).min() {
            throw .migration(file: missing, problem: .missing)
        }
        let fresh = files.dropFirst(applied.count)
        if let late = files.first(where: { applied[$0.name] == nil }), late != fresh.first {
            throw .migration(file: late.name, problem: .outOfOrder)
        }
    }

    /// The server computes it, for it has SHA-256 at hand.
    private func digest(
        of file: File, on connection: PostgresConnection
    ) throws(PostgresError) -> String {
        let rows = try connection.query(
            "SELECT encode(sha256($1), 'hex')", [.bytes([UInt8](file.text.utf8))])
        return rows[0].text(0)!
    }

    private func apply(
        _ file: File, digest: String, on connection: PostgresConnection
    ) throws {
        do {
            try connection.transaction {
                try connection.execute(file.text)
                guard connection.isInTransaction else {
                    throw PostgresError.migration(file: file.name, problem: .endsTransaction)
                }
                _ = try connection.query(
                    "INSERT INTO \(table) (name, digest) VALUES ($1, $2)",
                    [.text(file.name), .text(digest)])
            }
        } catch PostgresError.server(let error) {
            let line = error.characterPosition.map { position in
                1 + file.text.unicodeScalars.prefix(position - 1).count { $0 == "\n" }
            }
            throw PostgresError.migration(file: file.name, problem: .failed(line: line, error))
        }
    }
}
