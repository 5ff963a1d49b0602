import struct Crypto.SHA256
import DaybookCatalog
import DaybookLedger
import DaybookLog
import DaybookProjections
import DaybookSegments
import Synchronization

/// Holds a backup against itself, file by file, and its rows against the log.
///
/// It goes on after whatever it finds, so that the rows are named even where a digest or the
/// signature is bad. It needs no Postgres. Blocks.
public struct BackupVerifier {
    /// What a verification works with.
    public struct Options: Sendable {
        /// How much is held in memory and said.
        public var comparison = RowComparison.Options()

        /// The defaults.
        public init() {}
    }

    /// What is being done, for people who wait: a file or table, and bytes or rows so far. What it
    /// throws ends the verification.
    public typealias Progress = (_ what: String, _ done: Int64) throws -> Void

    let source: BackupSource
    private let log: (any SegmentedLog)?
    private let catalog: Catalog?
    private let trustedKey: VerifyingKey?
    private let options: Options

    /// A verifier of a backup.
    ///
    /// - Parameters:
    ///   - log: The ledger's log; nil checks the files only.
    ///   - catalog: The dictionary at hand; one of another version than the backup's is not used,
    ///     the log has that.
    ///   - trustedKey: The ledger's own key, if it is known from elsewhere than the log.
    public init(
        _ source: BackupSource, log: (any SegmentedLog)?, catalog: Catalog?,
        trustedKey: VerifyingKey? = nil, options: Options = Options()
    ) {
        self.source = source
        self.log = log
        self.catalog = catalog
        self.trustedKey = trustedKey
        self.options = options
    }

    /// Verifies.
    ///
    /// - Throws: `BackupError` if the storage or the log cannot be read at all.
    public func run(progress: Progress = { _, _ in }) throws -> BackupVerification {
        var result = BackupVerification(backup: source.name, head: source.head)
        try checkSignature(&result)
        try checkFiles(&result, progress)
        if let log { try compare(with: log, &result, progress) }
        return result
    }

    // MARK: The manifest

    private func checkSignature(_ result: inout BackupVerification) throws {
        let file = BackupManifest.signatureFileName
        guard let signature = try source.signature() else { return }
        guard let key = VerifyingKey(source.manifest.publicKey),
            key.isValid(signature, of: source.manifestBytes)
        else {
            result.problems.append(
                .init(file: file, what: "the manifest is not what was signed"))
            return
        }
        if key == trustedKey { return }
        guard let log else {
            if trustedKey != nil {
                result.problems.append(.init(file: file, what: "another key than the ledger's"))
            }
            return
        }
        if try SigningKeys.first(of: log) == key { return }
        guard try SigningKeys.all(of: log).contains(key) else {
            result.problems.append(
                .init(file: file, what: "signed by a key that the log does not name"))
            return
        }
    }

    // MARK: The files

    private func checkFiles(
        _ result: inout BackupVerification, _ progress: Progress
    ) throws {
        let manifest = source.manifest
        let expected =
            manifest.tables.map { ($0.file, $0.bytes, $0.sha256) }
            + (manifest.log?.files ?? []).map { ($0.file, $0.bytes, $0.sha256) }
        let found = try storing { () throws(BackupStorageError) in
            try source.storage.files(of: source.name)
        }
        result.files = found.map(\.name)
        let sizes = Dictionary(uniqueKeysWithValues: found.map { ($0.name, $0.byteCount) })
        for (file, byteCount, digest) in expected {
            guard let size = sizes[file] else {
                result.problems.append(.init(file: file, what: "it is missing"))
                continue
            }
            guard size == byteCount else {
                result.problems.append(
                    .init(file: file, what: "it has \(size) bytes, the manifest says \(byteCount)"))
                continue
            }
            if try self.digest(of: file, progress).description != digest {
                result.problems.append(
                    .init(file: file, what: "its bytes are not those of the manifest's digest"))
            }
        }
        let known = Set(expected.map(\.0) + [BackupManifest.fileName])
        for file in found.map(\.name) where !known.contains(file) {
            if file == BackupManifest.signatureFileName { continue }
            result.problems.append(.init(file: file, what: "the manifest does not name it"))
        }
        if sizes[BackupManifest.signatureFileName] == nil {
            result.problems.append(
                .init(file: BackupManifest.signatureFileName, what: "it is missing"))
        }
    }

    private func digest(of file: String, _ progress: Progress) throws -> Digest {
        var hash = SHA256()
        var offset: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try storing { () throws(BackupStorageError) in
                try source.storage.read(file, of: source.name, at: offset, into: buffer)
            }
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += UInt64(count)
            try progress(file, Int64(offset))
            if count < buffer.count { break }
        }
        return hash.finalize().withUnsafeBytes { Digest($0) }
    }

    // MARK: The content

    private func compare(
        with log: any SegmentedLog, _ result: inout BackupVerification, _ progress: Progress
    ) throws {
        let head = source.head
        guard head.ledger == log.ledger else {
            result.problems.append(
                .init(
                    file: BackupManifest.fileName,
                    what: "it is of ledger \(head.ledger), the log of \(log.ledger)"))
            return
        }
        guard head.position <= log.durable.position else {
            result.problems.append(
                .init(
                    file: BackupManifest.fileName,
                    what: "it is of position \(head.position), the log ends at "
                        + "\(log.durable.position)"))
            return
        }
        switch try log.place(of: head.position) {
        case .boundary(let known, _) where known == head: break
        case .boundary:
            result.problems.append(
                .init(
                    file: BackupManifest.fileName,
                    what: "the log has another root at position \(head.position)"))
        case .insideBatch(let batch):
            result.problems.append(
                .init(
                    file: BackupManifest.fileName,
                    what: "position \(head.position) lies inside the batch "
                        + "\(batch.lowerBound)..<\(batch.upperBound)"))
            return
        }
        guard let catalog = try dictionary(of: log) else {
            result.problems.append(
                .init(
                    file: BackupManifest.fileName,
                    what: "the log has no dictionary \(source.manifest.dictionary)"))
            return
        }
        for entry in source.manifest.tables {
            try compare(entry, catalog, log, &result, progress)
        }
        result.isComparedWithLog = true
    }

    private func dictionary(of log: any SegmentedLog) throws -> Catalog? {
        if let catalog, catalog.version == source.manifest.dictionary { return catalog }
        return try PastCatalogs.catalog(
            version: source.manifest.dictionary, of: log, segmentStarts: log.segmentStarts)
    }

    private func compare(
        _ entry: BackupManifest.TableEntry, _ catalog: Catalog, _ log: any SegmentedLog,
        _ result: inout BackupVerification, _ progress: Progress
    ) throws {
        guard let table = catalog.table(named: entry.table) else {
            result.problems.append(
                .init(file: entry.file, what: "the dictionary has no table \(entry.table)"))
            return
        }
        let layout = RowLayout(table)
        let damage = DamageNotes()
        let found = FoundRows(entry, of: source, table: table, layout: layout, damage: damage)
        let expected = try LogRows(
            log, catalog: catalog, table: table.name, shape: layout,
            positions: 0..<source.head.position)
        let comparison = RowComparison(
            layout, hashKey: RowHashKey(log.ledger), options: options.comparison)
        let differences = try comparison.compare(expected, found) { stage, rowCount in
            try progress("\(entry.table), \(stage.inWords)", Int64(rowCount))
        }
        for what in damage.all { result.problems.append(.init(file: entry.file, what: what)) }
        let digest = differences.found
        if digest.rowCount != Int(entry.rows) || digest.description != entry.contentDigest {
            result.problems.append(
                .init(
                    file: entry.file,
                    what: "its \(digest.rowCount) rows are not those of the manifest's digest"))
        }
        result.tables.append(
            BackupVerification.TableResult(
                table: table.name, columns: layout.columns.map(\.name),
                keyColumns: layout.key.map { layout.columns[$0].name },
                differences: differences))
    }
}

/// What could not be read of a file, each place once, however often the file is read.
private final class DamageNotes: Sendable {
    private let notes = Mutex<[Int: String]>([:])

    func add(at offset: Int, _ what: String) { notes.withLock { $0[offset] = what } }

    /// In order of place.
    var all: [String] {
        notes.withLock { $0 }.sorted { $0.key < $1.key }.map { "at byte \($0.key): \($0.value)" }
    }
}

/// The rows of a file, as far as they can be read.
private struct FoundRows: RowSide {
    private let rows: BaseRowSide?

    init(
        _ entry: BackupManifest.TableEntry, of source: BackupSource, table: Table,
        layout: RowLayout, damage: DamageNotes
    ) {
        let open = {
            try BackupTableRows(
                source.storage, backup: source.name, entry: entry,
                damage: .passed { damage.add(at: $0, $1) })
        }
        do {
            rows = try BaseRowSide(
                try open().schema, table: table, layout: layout, open: { try open() },
                onDamage: { block, _ in
                    damage.add(at: block.offset, "a row is not as the schema says")
                })
        } catch {
            damage.add(at: 0, "\(error)")
            rows = nil
        }
    }

    func forEachRow(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try rows?.forEachRow(body)
    }
}

extension RowComparison.Stage {
    /// What is being done, for a person.
    fileprivate var inWords: String {
        switch self {
        case .readingExpected: "reading the log"
        case .readingFound: "reading the backup"
        case .namingDifferences: "naming differences"
        }
    }
}
