/// Where backups are kept: a folder of this machine, or a bucket. Every call may block.
///
/// A backup is a folder of files. It is there as a whole or not at all: what is written becomes
/// visible with `BackupFolderWriter.commit`, and a crash before leaves nothing that `backups`
/// names.
public protocol BackupStorage: Sendable {
    /// What people call it: a path, or a URL.
    var name: String { get }

    /// The names of the backups that are complete, in order of name; empty if there are none yet.
    func backups() throws(BackupStorageError) -> [String]

    /// The files of a backup, in order of name; empty if there is no such backup, or none that is
    /// complete. A file of a folder within the backup has a name such as `log/00.avro.lz4`.
    func files(of backup: String) throws(BackupStorageError) -> [BackupFileFacts]

    /// Reads a file from `offset` on into the front of `buffer`; how many bytes: fewer than asked
    /// for only at the file's end. Several threads may read at a time.
    ///
    /// - Throws: `.notFound` if there is no such file.
    func read(
        _ file: String, of backup: String, at offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(BackupStorageError) -> Int

    /// Begins a backup. What a crash left of one of the same name is taken away.
    ///
    /// - Throws: `.exists` if there is one of the name.
    func begin(_ backup: String) throws(BackupStorageError) -> any BackupFolderWriter

    /// Takes away what writers that are gone have left; those at work are let be. How much it was.
    func clearRemains() throws(BackupStorageError) -> Int

    /// Removes a backup: it is invisible first and gone then.
    ///
    /// - Throws: `.notFound` if there is none of the name.
    func remove(_ backup: String) throws(BackupStorageError)
}

/// A file of a backup.
public struct BackupFileFacts: Sendable, Hashable {
    /// Its name within the backup.
    public let name: String
    /// How many bytes it has.
    public let byteCount: UInt64

    /// A file of so many bytes.
    public init(name: String, byteCount: UInt64) {
        self.name = name
        self.byteCount = byteCount
    }
}

/// A backup that is being written, file by file. Used by one thread at a time.
public protocol BackupFolderWriter: AnyObject {
    /// Begins a file; the one before is finished. A name may have one folder before it.
    func create(_ file: String) throws(BackupStorageError) -> any BackupFileWriter

    /// Takes in the first `byteCount` bytes of a file of this machine, by a link where that is
    /// possible; else by a copy.
    func take(
        _ path: String, byteCount: UInt64, as file: String
    ) throws(BackupStorageError)

    /// Makes all that was written durable, and then the backup visible. The manifest was the last
    /// file: storage that cannot rename a folder shows a backup by its manifest.
    ///
    /// - Throws: `.exists` if another backup of the name became visible meanwhile.
    func commit() throws(BackupStorageError)

    /// Takes away what was written. Called when anything went wrong before `commit`.
    func abandon()
}

/// A file that is being written, front to back.
public protocol BackupFileWriter: AnyObject {
    /// Appends bytes, which are valid during the call.
    func write(_ bytes: UnsafeRawBufferPointer) throws(BackupStorageError)

    /// Ends the file.
    func finish() throws(BackupStorageError)
}

/// Why storage did not do what it was asked. Holds no row data.
public enum BackupStorageError: Error, Sendable, Equatable {
    /// The system refused a call.
    case system(call: String, path: String, code: Int32)
    /// No such backup or file, in the words of whoever looked.
    case notFound(String)
    /// A backup of the name is there.
    case exists(String)
    /// A store that is reached by a network could not be reached, or refuses.
    case remote(String)
    /// What was given as a place for backups is none, and what would be right.
    case target(String)
}
