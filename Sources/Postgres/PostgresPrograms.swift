import FoundationEssentials

/// The server programs of one installed Postgres.
struct PostgresPrograms: Equatable {
    /// The folder that holds `postgres` and `initdb`.
    let folder: String
    let majorVersion: Int

    /// Finds the newest installed server, or the one of `majorVersion`: on PATH, where `pg_config`
    /// says, and where Debian keeps its versions side by side.
    static func find(majorVersion wanted: Int?) throws(PostgresError) -> PostgresPrograms {
        let newest = candidateFolders()
            .compactMap { PostgresPrograms(folder: $0) }
            .filter { wanted == nil || $0.majorVersion == wanted }
            .max { $0.majorVersion < $1.majorVersion }
        guard let newest else { throw .serverProgramsMissing(majorVersion: wanted) }
        return newest
    }

    private init?(folder: String) {
        let manager = FileManager.default
        guard manager.isExecutableFile(atPath: "\(folder)/postgres"),
            manager.isExecutableFile(atPath: "\(folder)/initdb"),
            let answer = try? ChildProcess.run(["\(folder)/postgres", "--version"], as: nil),
            answer.status == 0,
            // "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", "… 18beta1"
            let version = answer.output.split(separator: " ").dropFirst(2).first,
            let majorVersion = Int(version.prefix { $0.isNumber })
        else { return nil }
        self.folder = folder
        self.majorVersion = majorVersion
    }

    private static func candidateFolders() -> [String] {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        var folders = path.split(separator: ":").map(String.init)
        if let config = folders.first(where: {
            FileManager.default.isExecutableFile(atPath: "\($0)/pg_config")
        }), let answer = try? ChildProcess.run(["\(config)/pg_config", "--bindir"], as: nil) {
            folders.append(answer.output.filter { !$0.isNewline })
        }
        let versions = "/usr/lib/postgresql"
        let installed = (try? FileManager.default.contentsOfDirectory(atPath: versions)) ?? []
        folders += installed.map { "\(versions)/\($0)/bin" }
        return folders.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
