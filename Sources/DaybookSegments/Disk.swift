import DaybookLog

/// The folder of the log, as the engine sees it: the only way to files that this module has.
///
/// `SystemDisk` is the real one. A simulated disk stands in for it in tests: it sees every call in
/// order and may fail, tear or lose what was not synced. Names are plain file names in the folder.
public protocol LogDisk: Sendable {
    /// The names of all files in the folder, in no order.
    func names() throws(DiskError) -> [String]
    /// Opens a file.
    func open(_ name: String, _ mode: DiskMode) throws(DiskError) -> any DiskFile
    /// Gives a file another name, in one step; the name is durable after `syncFolder`.
    func rename(_ name: String, to newName: String) throws(DiskError)
    func remove(_ name: String) throws(DiskError)
    /// Makes names durable: those created, renamed and removed.
    func syncFolder() throws(DiskError)
}

/// How a file is opened.
public enum DiskMode: Sendable {
    case read
    case readWrite
    /// Makes a file; it must not exist.
    case create
    /// Opens or makes a file.
    case readWriteOrCreate
}

/// An open file. Offsets are explicit: a file has no reading place.
public protocol DiskFile: AnyObject, Sendable {
    func byteCount() throws(DiskError) -> UInt64
    /// Reads up to `bytes.count` bytes; fewer only at the end of the file.
    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int
    /// Writes some of `bytes` and says how many; more than none.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int
    /// Makes content and length durable.
    func sync() throws(DiskError)
    func truncate(to byteCount: UInt64) throws(DiskError)
    /// Lets go of what memory holds of the file, as far as it is on disk: the next read is one of
    /// the disk. A wish, which need not be granted.
    func dropCache()
}

extension DiskFile {
    /// Nothing: there is no cache to drop.
    public func dropCache() {}
}

/// A call that the system refused.
public struct DiskError: Error, Equatable, Sendable {
    /// The C function that failed, such as `pwrite`.
    public let call: String
    /// The file or folder that it was called for.
    public let file: String
    /// The value of `errno`.
    public let code: Int32

    /// A call that left `code` in `errno`.
    public init(call: String, file: String, code: Int32) {
        self.call = call
        self.file = file
        self.code = code
    }
}

extension DiskFile {
    /// Writes all of `bytes`, however the system cuts them.
    func writeAll(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = try write(rest, at: offset + UInt64(done))
            precondition(count > 0 && count <= rest.count, "a write takes some of the bytes")
            done += count
        }
    }
}
