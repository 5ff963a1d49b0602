import DaybookBackup
import DaybookServer

extension BackupListing {
    /// The backups of a place, with what is known of each.
    init(
        target: String, manifests: [(name: String, manifest: BackupManifest?)],
        proven: Set<String>
    ) {
        self.init(
            target: target,
            backups: manifests.map { name, manifest in
                Backup(
                    name: name,
                    facts: manifest.map { manifest in
                        Facts(
                            ledger: manifest.ledger, position: manifest.position,
                            time: manifest.time, tables: manifest.tables.map(\.table),
                            rowCount: manifest.tables.reduce(0) { $0 + $1.rows },
                            hasLog: manifest.log != nil, isProven: proven.contains(name))
                    })
            })
    }
}

extension MadeBackup {
    /// What was just made.
    init(_ manifest: BackupManifest, target: String, durationSeconds: Double) {
        self.init(
            name: manifest.name, target: target, position: manifest.position, root: manifest.root,
            time: manifest.time,
            tables: manifest.tables.map {
                Table(table: $0.table, file: $0.file, rowCount: $0.rows, byteCount: $0.bytes)
            },
            logPosition: manifest.log?.position,
            logByteCount: manifest.log?.files.reduce(0) { $0 + $1.bytes } ?? 0,
            durationSeconds: durationSeconds)
    }
}
