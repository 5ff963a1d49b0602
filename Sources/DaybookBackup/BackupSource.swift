import Avro
import DaybookCatalog
import DaybookLog
import DaybookProjections

/// A backup that is there to be read: its manifest, and its tables as rows to begin a restore with.
public struct BackupSource: RowBase {
    /// Where it is kept.
    public let storage: any BackupStorage
    /// Its name there.
    public let name: String
    /// What it says of itself.
    public let manifest: BackupManifest
    /// The manifest's bytes, which are what is signed.
    let manifestBytes: [UInt8]
    /// The state of the ledger that it is of.
    public let head: TreeHead

    /// Opens the backup of a name.
    ///
    /// - Throws: `BackupError.notFound`, `.badManifest`, `.storage`.
    public init(_ name: String, in storage: any BackupStorage) throws(BackupError) {
        guard
            let bytes = try Self.bytes(
                BackupManifest.fileName, of: name, in: storage,
                byteCountMax: BackupManifest.byteCountMax)
        else {
            throw .notFound("\(storage.name)/\(name) is no backup: it has no manifest")
        }
        let manifest = try BackupManifest(reading: bytes, of: name)
        guard let head = manifest.head else {
            preconditionFailure("a manifest that was read has a head")
        }
        self.storage = storage
        self.name = name
        self.manifest = manifest
        self.head = head
        manifestBytes = bytes
    }

    /// The newest backup of a ledger: that of the highest position, and of the latest time. Nil if
    /// there is none. Manifests that cannot be read are passed over.
    public static func newest(
        in storage: any BackupStorage, of ledger: LedgerID? = nil, before end: Position? = nil
    ) throws(BackupError) -> BackupSource? {
        var newest: BackupSource?
        for name in try storing({ () throws(BackupStorageError) in try storage.backups() }) {
            guard let source = try? BackupSource(name, in: storage),
                ledger == nil || source.head.ledger == ledger,
                end.map({ source.head.position <= $0 }) ?? true
            else { continue }
            if let known = newest,
                (known.head.position, known.manifest.time)
                    > (source.head.position, source.manifest.time)
            {
                continue
            }
            newest = source
        }
        return newest
    }

    /// Names the backup and its very content in the record of a rebuild.
    public var identity: String {
        "backup \(name) \(manifestBytes.withUnsafeBytes { Digest(of: $0) })"
    }

    /// Where the rows come from, for a ledger that begins with them: one JSON object.
    public var provenance: String {
        let digest = manifestBytes.withUnsafeBytes { Digest(of: $0) }
        return """
            {"backup":"\(name)","ledger":"\(head.ledger)","position":\(head.position),\
            "tree_size":\(head.size),"root":"\(head.root)","time":"\(manifest.time)",\
            "dictionary":"\(manifest.dictionary)","manifest_sha256":"\(digest)",\
            "public_key":"\(manifest.publicKey)"}
            """
    }

    /// The rows of a table, from the first on. Whatever differs from the manifest is thrown.
    public func rows(of table: String) throws -> any BaseRows {
        guard let entry = manifest.entry(of: table) else {
            throw BackupError.refused("\(name) has no table \(table)")
        }
        return try BackupTableRows(storage, backup: name, entry: entry)
    }

    /// The signature, if there is one.
    func signature() throws(BackupError) -> [UInt8]? {
        try Self.bytes(
            BackupManifest.signatureFileName, of: name, in: storage, byteCountMax: 1024)
    }

    /// A small file whole; nil if it is not there.
    private static func bytes(
        _ file: String, of backup: String, in storage: any BackupStorage, byteCountMax: Int
    ) throws(BackupError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: byteCountMax + 1)
        do {
            let count = try bytes.withUnsafeMutableBytes { room in
                try storage.read(file, of: backup, at: 0, into: room)
            }
            guard count <= byteCountMax else { throw BackupError.badManifest(backup, "too large") }
            return Array(bytes[..<count])
        } catch BackupStorageError.notFound {
            return nil
        } catch let error as BackupStorageError {
            throw .storage(error)
        } catch let error as BackupError {
            throw error
        } catch {
            preconditionFailure("storage throws its own errors only: \(error)")
        }
    }
}
