import DaybookSegments
import Foundation

/// The folder of one trial: made under the ledger's, locked while it is used, and taken away
/// however the trial ends. What a trial that was killed left is taken away by the next.
final class TrialFolder {
    let path: String
    /// The ledger's folder, if it was made for the trial.
    private let madeParent: String?
    private let lock: DirectoryLock

    private static let prefix = "torture-"
    /// Stands in every folder of a trial, so that nothing else is ever taken for one.
    private static let marker = "this-is-a-trial"

    init(under folder: String) throws {
        let files = FileManager.default
        let isNew = !files.fileExists(atPath: folder)
        if isNew {
            try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        madeParent = isNew ? folder : nil
        TrialFolder.removeLeftovers(under: folder)
        path = "\(folder)/\(TrialFolder.prefix)\(getpid())"
        guard mkdir(path, 0o700) == 0 else {
            throw CommandFailure(
                .failed, "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        _ = files.createFile(atPath: "\(path)/\(TrialFolder.marker)", contents: nil)
        lock = try DirectoryLock(folder: path)
    }

    /// Takes the folder away, and the one above if it was made for it.
    func remove() {
        try? FileManager.default.removeItem(atPath: path)
        if let madeParent { rmdir(madeParent) }
    }

    /// A folder in it, made.
    func make(_ name: String) throws -> String {
        let made = "\(path)/\(name)"
        try FileManager.default.createDirectory(
            atPath: made, withIntermediateDirectories: true)
        return made
    }

    private static func removeLeftovers(under folder: String) {
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: folder)) ?? [] {
            let path = "\(folder)/\(name)"
            guard name.hasPrefix(prefix), Int32(name.dropFirst(prefix.count)) != nil,
                files.fileExists(atPath: "\(path)/\(marker)"),
                !DirectoryLock.isHeld(folder: path)
            else { continue }
            try? files.removeItem(atPath: path)
        }
    }
}
