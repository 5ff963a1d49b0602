/// What a call on the disk is, by the C function that a real disk would be asked with.
public enum DiskCall: String, CaseIterable, Sendable {
    /// The names in the folder.
    case names = "readdir"
    /// Opening or making a file.
    case open
    /// Giving a file another name.
    case rename
    case remove = "unlink"
    case syncFolder = "fsync"
    /// A file's length.
    case byteCount = "fstat"
    case read = "pread"
    case write = "pwrite"
    case sync = "fdatasync"
    case truncate = "ftruncate"

    /// Whether the call changes anything, in memory or on the medium.
    public var isChange: Bool {
        switch self {
        case .names, .byteCount, .read: false
        default: true
        }
    }
}

/// A call as the disk's record has it.
public struct CallRecord: Equatable, Sendable {
    /// What was called.
    public let call: DiskCall
    /// The file, by the name it had when it was opened; empty for the folder.
    public let file: String
    /// Where it reads or writes, or the length it cuts to.
    public let offset: UInt64
    /// How many bytes were asked for.
    public let byteCount: Int
}

/// A fault that waits for its call.
public struct DiskFault: Sendable {
    /// What happens in the place of the call.
    public enum Effect: Sendable, Equatable {
        /// The call fails with this `errno` and does nothing. A sync that fails leaves its pages
        /// clean; see `CrashDisk`.
        case error(Int32)
        /// A write takes so many bytes (one at least); a read gives so many.
        case short(Int)
        /// The call reports success and the medium never has it: a write is in the cache only and
        /// no sync takes it further; a sync does nothing.
        case lost
        /// A sync puts what it writes so many sectors further on: the medium has the old content in
        /// the right place and the new content in a wrong one. Success is reported.
        case misdirected(sectors: Int)
        /// The process ends within the call: a write has put so many bytes into the cache. From
        /// here every call fails without effect, until `kill` or `crash`.
        case death(afterByteCount: Int)
    }

    /// The kind of call; nil for any kind.
    public var call: DiskCall?
    /// The end of the file's name; nil for any file. The folder's own calls have no name.
    public var fileSuffix: String?
    /// So many matching calls pass first.
    public var skipCount: Int
    /// So many calls then fail.
    public var repeatCount: Int
    /// What happens.
    public var effect: Effect

    /// A fault of the `skipCount + 1`th call that matches.
    public init(
        _ effect: Effect, of call: DiskCall? = nil, file fileSuffix: String? = nil,
        after skipCount: Int = 0, times repeatCount: Int = 1
    ) {
        self.effect = effect
        self.call = call
        self.fileSuffix = fileSuffix
        self.skipCount = skipCount
        self.repeatCount = repeatCount
    }
}

/// Values of `errno` on Linux, for faults.
public enum ErrorNumber {
    /// A signal came.
    public static let interrupted: Int32 = 4
    /// The device failed.
    public static let input: Int32 = 5
    /// The file is not open.
    public static let badDescriptor: Int32 = 9
    /// There is no such file.
    public static let noEntry: Int32 = 2
    /// There is such a file already.
    public static let exists: Int32 = 17
    /// The device is full.
    public static let noSpace: Int32 = 28
    /// The user has no more space.
    public static let overQuota: Int32 = 122
}
