import Foundation

/// The folder of a ledger.
enum DataFolder {
    /// Makes the folder if it is missing: its files are their owner's, but others may pass through,
    /// for the private Postgres of a root is another user's.
    static func make(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o711])
    }

    /// Whether every user can pass through the folder and those above it.
    static func isOpenToOthers(_ path: String) -> Bool {
        var folder = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        while true {
            var facts = stat()
            guard stat(folder.path, &facts) == 0, facts.st_mode & 0o001 != 0 else { return false }
            if folder.path == "/" { return true }
            folder.deleteLastPathComponent()
        }
    }
}
