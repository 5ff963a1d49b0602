import DaybookLedger
import DaybookLog
import Foundation

/// A folder with signed tree heads of one ledger: on another disk, on another machine.
///
/// One file a head, `<position, 20 digits>.checkpoint`, so that names sort. None is ever written
/// over.
struct AnchorFolder {
    /// What came of a writing.
    enum Outcome {
        case written(file: String)
        /// The newest file says the same.
        case unchanged(file: String)
    }

    let path: String

    static let suffix = ".checkpoint"

    /// Writes the state of `log` now, if the newest file is of an earlier one.
    ///
    /// The newest file is held against the log first: a log that does not bear it out is not
    /// anchored over it.
    ///
    /// - Throws: `CommandFailure`: `corrupt` if the newest file contradicts the log, `usage` if it
    ///   is of another ledger, else `failed` with what the system refused; and `LogError`.
    func write(_ log: any LogSource, key: SigningKey) throws -> Outcome {
        try makeFolder()
        let head = log.durable
        if let newest = try newest() {
            try check(newest, against: log, head)
            if newest.anchor.head == head { return .unchanged(file: newest.path) }
        }
        let digits = String(head.position)
        let name = String(repeating: "0", count: 20 - digits.utf8.count) + digits
        let file = "\(path)/\(name)\(AnchorFolder.suffix)"
        try write(SignedTreeHead(signing: head, key: key).text, to: file)
        return .written(file: file)
    }

    private func newest() throws -> AnchorFile? {
        try AnchorFolder.names(in: path).last.map { try AnchorFile("\(path)/\($0)") }
    }

    private func check(_ newest: AnchorFile, against log: any LogSource, _ head: TreeHead) throws {
        let anchor = newest.anchor.head
        guard anchor.ledger == head.ledger else {
            throw CommandFailure(
                .usage,
                "\(newest.path) is of another ledger; each has a folder of its own for its anchors")
        }
        guard anchor.position <= head.position else {
            throw CommandFailure(
                .corrupt,
                "the log ends at position \(head.position), but \(newest.path) knew it up to "
                    + "\(anchor.position): it lost events, or is an old copy")
        }
        guard try log.place(of: anchor.position).head == anchor else {
            throw CommandFailure(
                .corrupt,
                "the log is not the one that was anchored: something below position "
                    + "\(anchor.position) was changed; see `daybook log verify --anchor \(path)`")
        }
    }

    /// The names of anchors in a folder, the oldest first.
    static func names(in path: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
                .filter { $0.hasSuffix(suffix) && !$0.hasPrefix(".") }.sorted()
        } catch {
            throw CommandFailure(.failed, "\(path) cannot be read: \(error.localizedDescription)")
        }
    }

    private func makeFolder() throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.failed, "\(path) cannot be made: \(error.localizedDescription)")
        }
    }

    /// Whole or not at all: under another name, synced, renamed, the folder synced.
    private func write(_ text: String, to file: String) throws {
        let aside = "\(file).\(getpid()).tmp"
        let descriptor = open(aside, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("written", aside) }
        let bytes = Array(text.utf8)
        let isWritten =
            Foundation.write(descriptor, bytes, bytes.count) == bytes.count
            && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isWritten, rename(aside, file) == 0 else {
            if !isWritten { errno = code }
            defer { unlink(aside) }
            throw failure("written", file)
        }
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("synced", path) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("synced", path) }
    }

    private func failure(_ what: String, _ path: String) -> CommandFailure {
        CommandFailure(.failed, "\(path) cannot be \(what): \(String(cString: strerror(errno)))")
    }
}

/// One file with a signed tree head.
struct AnchorFile {
    let path: String
    let anchor: SignedTreeHead

    /// Reads it.
    ///
    /// - Throws: `CommandFailure`, `usage` if it is none.
    init(_ path: String) throws {
        self.path = path
        let text = String(decoding: try ProofFiles.bytes(path), as: UTF8.self)
        do throws(ProofFault) {
            anchor = try SignedTreeHead(text)
        } catch {
            throw CommandFailure(.usage, "\(path) is no anchor: \(error)")
        }
    }

    /// What `given` names: one file, or all anchors of a folder.
    ///
    /// - Throws: `CommandFailure`, `usage` if there is none.
    static func all(_ given: String) throws -> [AnchorFile] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: given, isDirectory: &isFolder),
            isFolder.boolValue
        else { return [try AnchorFile(given)] }
        let files = try AnchorFolder.names(in: given).map { try AnchorFile("\(given)/\($0)") }
        guard !files.isEmpty else {
            throw CommandFailure(
                .usage, "\(given) has no \(AnchorFolder.suffix) files; see `daybook log anchor`")
        }
        return files
    }
}

/// Files that people keep to prove something by.
enum ProofFiles {
    /// A file's bytes.
    static func bytes(_ path: String) throws -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            throw CommandFailure(.usage, "\(path) cannot be read: \(error.localizedDescription)")
        }
    }

    /// A public key in PEM.
    static func key(_ path: String) throws -> VerifyingKey {
        guard let key = VerifyingKey(pem: String(decoding: try bytes(path), as: UTF8.self)) else {
            throw CommandFailure(
                .usage,
                "\(path) is no Ed25519 public key in PEM; `daybook keys ledger` prints the ledger's"
            )
        }
        return key
    }
}
