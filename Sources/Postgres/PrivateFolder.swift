import FoundationEssentials
import Glibc
import SystemPackage

/// Folders that only one user (and root) can enter.
enum PrivateFolder {
    /// Makes the folder `path`, 0700 and owned by `owner` (nil: us), or takes it as it is when it
    /// is just that. Another's folder, or a link, is refused: in a shared place such as `/tmp`
    /// it could be a trap. (`mkdir`, `lstat`)
    static func make(_ path: String, owner: ChildProcess.User?) throws(PostgresError) {
        if mkdir(path, 0o700) == 0 {
            try give(path, to: owner, mode: 0o700)
            return
        }
        guard errno == EEXIST else {
            throw .system(call: "mkdir", path: path, Errno(rawValue: errno))
        }
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode == S_IFDIR | 0o700,
            facts.st_uid == owner?.userID ?? geteuid()
        else {
            throw .system(call: "mkdir", path: path, .fileExists)
        }
    }

    /// Sets mode and, where we are not `owner` ourselves, the owner. (`chmod`, `lchown`)
    static func give(
        _ path: String, to owner: ChildProcess.User?, mode: mode_t
    ) throws(PostgresError) {
        guard chmod(path, mode) == 0 else {
            throw .system(call: "chmod", path: path, Errno(rawValue: errno))
        }
        guard let owner else { return }
        guard lchown(path, owner.userID, owner.groupID) == 0 else {
            throw .system(call: "lchown", path: path, Errno(rawValue: errno))
        }
    }

    /// Where a cluster's socket goes: its data directory, which is private already, or, where the
    /// socket's path would be too long or libpq would take its commas apart, a short folder whose
    /// name follows from the data directory's.
    static func socketFolder(
        dataDirectory: String, socketName: String, owner: ChildProcess.User?
    ) throws(PostgresError) -> String {
        // sun_path holds 108 bytes, the last of them NUL (unix(7)).
        let byteCountMax = 107
        let fits = dataDirectory.utf8.count + 1 + socketName.utf8.count <= byteCountMax
        if fits && !dataDirectory.utf8.contains(UInt8(ascii: ",")) { return dataDirectory }
        let folder = "\(temporaryFolder)/pg-\(String(hash(dataDirectory), radix: 36))"
        try make(folder, owner: owner)
        return folder
    }

    /// For root `/run`, for others their runtime folder, for want of one `/tmp`.
    private static var temporaryFolder: String {
        if geteuid() == 0 && access("/run", W_OK) == 0 { return "/run" }
        let folder = ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"] ?? ""
        let isUsable = folder.hasPrefix("/") && folder.utf8.count <= 64 && geteuid() != 0
        return isUsable && access(folder, W_OK) == 0 ? folder : "/tmp"
    }

    /// FNV-1a, 64 bits: the same in every run, as Swift's own hashes are not.
    private static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
