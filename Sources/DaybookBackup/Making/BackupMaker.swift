import Avro
import DaybookCatalog
import DaybookLedger
import DaybookLog
import DaybookProjections
import Foundation
import Postgres

/// Makes backups: all tables at one position, from one snapshot of Postgres, while appends and the
/// projector go on.
///
/// A backup is written aside and becomes visible when it is whole. Blocks: never called on the
/// cooperative pool.
public struct BackupMaker {
    /// What a backup is made with.
    public struct Options: Sendable {
        /// The schema of the dictionary's tables.
        public var schema = "public"
        /// The tables; nil for all.
        public var tables: [String]?
        /// How the files' blocks are compressed.
        public var codec = ContainerCodec.deflate
        /// The codec's level; nil is its own default.
        public var level: Int?
        /// How many bytes of rows make a block of a file, before compression.
        public var blockByteCount = 128 << 10
        /// The folder whose log is copied too; nil copies none.
        public var logFolder: String?
        /// How long tables that are not at one position are waited for, in seconds.
        public var patienceSeconds = 30.0

        /// The defaults.
        public init() {}
    }

    /// What is being done, for people who wait.
    public enum Progress: Sendable {
        /// So many rows of a table are copied, of about so many.
        case table(String, rowCount: Int64, of: Int64)
        /// A file of the log is taken.
        case log(String)
        /// The tables do not stand at one position, or the log is not so far yet.
        case waiting
    }

    private let connection: PostgresConnection
    private let catalog: Catalog
    private let key: SigningKey
    private let options: Options
    private let clock: () -> Microseconds
    private let log: ((Position) throws -> any LogSource)?

    /// A maker of backups.
    ///
    /// - Parameters:
    ///   - connection: A connection of its own.
    ///   - key: What the manifest is signed by.
    ///   - log: Gives the log once all below a position can be read from it, to be held against
    ///     the checkpoints; nil if the log is lost.
    ///   - clock: The wall clock, for the backup's name.
    public init(
        _ connection: PostgresConnection, catalog: Catalog, key: SigningKey,
        options: Options = Options(), log: ((Position) throws -> any LogSource)?,
        clock: @escaping () -> Microseconds
    ) {
        self.connection = connection
        self.catalog = catalog
        self.key = key
        self.options = options
        self.log = log
        self.clock = clock
    }

    /// Makes one. Whatever `progress` throws ends it; it is called a few times a second at least,
    /// but while Postgres sorts a table: a statement is ended by the connection's canceller.
    ///
    /// - Throws: `BackupError`, and what Postgres and the log throw; then nothing is left of it.
    public func run(
        into storage: any BackupStorage,
        progress: (Progress) throws -> Void = { _ in }
    ) throws -> BackupManifest {
        try lock()
        let tables = try chosenTables()
        let deadline = ContinuousClock.now + .seconds(options.patienceSeconds)
        while true {
            let made = try connection.transaction(isolation: .repeatableRead, readOnly: true) {
                try agreedHead(of: tables, isLastTry: .now > deadline).map { head in
                    try write(tables, at: head, into: storage, progress)
                }
            }
            if let made { return made }
            try progress(.waiting)
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    /// One backup of a database at a time: of two, each would slow the other down.
    private func lock() throws {
        let rows = try connection.query(
            "SELECT pg_try_advisory_lock(hashtextextended('daybook backup', 0))")
        guard rows[0].bool(0) == true else { throw BackupError.busy }
    }

    private func chosenTables() throws(BackupError) -> [Table] {
        guard let names = options.tables else { return catalog.tables }
        for name in names where catalog.table(named: name) == nil {
            let known = catalog.tables.map(\.name).joined(separator: ", ")
            throw .refused("the dictionary has no table \(name); it has \(known)")
        }
        return catalog.tables.filter { names.contains($0.name) }
    }

    /// Where all tables stand in the snapshot; nil if they do not stand at one position and may do
    /// so in a moment.
    private func agreedHead(of tables: [Table], isLastTry: Bool) throws -> TreeHead? {
        let all = try ProjectionHead.all(connection, catalog: catalog, ledger: nil)
        var heads: Set<TreeHead> = []
        var places: [String] = []
        var isOnTheWay = true
        for table in tables {
            guard let found = all[table.name], found.isCurrent else {
                places.append("\(table.name): not built yet")
                continue
            }
            heads.insert(found.head)
            places.append("\(table.name): \(found.head.position), \(found.state.rawValue)")
            isOnTheWay = isOnTheWay && found.state == .running
        }
        if heads.count == 1, places.count == tables.count, let head = heads.first,
            tables.allSatisfy({ all[$0.name]?.isCurrent == true })
        {
            try check(head)
            return head
        }
        if isLastTry || !isOnTheWay { throw BackupError.notAtOnePosition(places) }
        return nil
    }

    /// What Postgres has must be this log's own history.
    private func check(_ head: TreeHead) throws {
        guard let log = try log?(head.position) else { return }
        guard try log.place(of: head.position).head == head else {
            throw BackupError.contradiction(
                "the tables followed another history up to position \(head.position): log and "
                    + "database are not of one past; see `daybook status`")
        }
    }

    // MARK: Writing

    private func write(
        _ tables: [Table], at head: TreeHead, into storage: any BackupStorage,
        _ progress: (Progress) throws -> Void
    ) throws -> BackupManifest {
        let (name, time, folder) = try begin(at: head, in: storage)
        do {
            var entries: [BackupManifest.TableEntry] = []
            for table in tables {
                entries.append(try write(table, at: head, time, to: folder, progress))
            }
            let log = try options.logFolder.map { logFolder in
                try LogCopy(of: logFolder).run(into: folder, reaching: head) {
                    try progress(.log($0))
                }
            }
            let manifest = BackupManifest(
                format: BackupManifest.formatName, formatVersion: BackupManifest.version,
                name: name, ledger: head.ledger.description, position: head.position,
                treeSize: head.size, root: head.root.description, time: BackupTime.text(time),
                dictionary: catalog.version, codec: options.codec.rawValue,
                publicKey: key.publicKey.description, tables: entries, log: log)
            let bytes = manifest.encoded
            try put(key.signature(of: bytes), as: BackupManifest.signatureFileName, to: folder)
            try put(bytes, as: BackupManifest.fileName, to: folder)
            try folder.commit()
            return manifest
        } catch {
            folder.abandon()
            if let error = error as? BackupStorageError { throw BackupError.storage(error) }
            throw error
        }
    }

    /// Names have seconds: whoever comes within the same one waits for the next.
    private func begin(
        at head: TreeHead, in storage: any BackupStorage
    ) throws -> (name: String, time: Microseconds, folder: any BackupFolderWriter) {
        while true {
            let time = clock()
            let name = "backup-\(head.position)-\(BackupTime.name(time))"
            do throws(BackupStorageError) {
                return (name, time, try storage.begin(name))
            } catch {
                guard case .exists = error else { throw BackupError.storage(error) }
                Thread.sleep(forTimeInterval: 0.1)
            }
        }
    }

    private func write(
        _ table: Table, at head: TreeHead, _ time: Microseconds,
        to folder: any BackupFolderWriter, _ progress: (Progress) throws -> Void
    ) throws -> BackupManifest.TableEntry {
        let file = "\(table.name).avro"
        let facts = [
            "ledger": head.ledger.description, "position": "\(head.position)",
            "tree_size": "\(head.size)", "root": head.root.description,
            "time": BackupTime.text(time), "dictionary": catalog.version, "table": table.name,
        ]
        let total = try estimate(table)
        let dump = TableDump(
            connection: connection, table: table, schema: options.schema,
            hashKey: RowHashKey(head.ledger), blockByteCount: options.blockByteCount)
        let outcome = try dump.run(
            into: try folder.create(file), codec: options.codec, level: options.level,
            metadata: Dictionary(
                uniqueKeysWithValues: facts.map { ("daybook.\($0)", Array($1.utf8)) })
        ) { try progress(.table(table.name, rowCount: $0, of: max(total, $0))) }
        return BackupManifest.TableEntry(
            table: table.name, file: file, rows: outcome.rowCount,
            bytes: outcome.file.byteCount, sha256: outcome.file.digest.description,
            contentDigest: outcome.digest.description)
    }

    /// About how many rows a table has, as Postgres last counted.
    private func estimate(_ table: Table) throws -> Int64 {
        let rows = try connection.query(
            "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass($1)",
            [.text(SQL.identifier(options.schema, table.name))], format: .binary)
        return rows.first?.int64(0) ?? 0
    }

    private func put(
        _ bytes: [UInt8], as file: String, to folder: any BackupFolderWriter
    ) throws(BackupStorageError) {
        let writer = try folder.create(file)
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(BackupStorageError) in try writer.write(bytes) }
        }
        try result.get()
        try writer.finish()
    }
}
