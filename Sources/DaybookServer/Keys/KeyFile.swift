import Foundation
import Synchronization

/// A key that was taken away, until the log says so.
public struct RevokedKey: Sendable, Codable, Equatable {
    /// The key. It lets nobody in any more.
    public let key: Key
    /// Who took it away: `local:<user>`.
    public let by: String
}

/// The keys of a ledger, kept in a file (0600) as digests: `data/keys.json`.
///
/// The file is replaced as a whole and read again when it has changed, so a change acts at once in
/// a running server. Changes by several processes wait for each other. A file that others may read
/// or change is not used.
public final class KeyFile: KeyAuthority {
    /// What the file holds.
    public struct Content: Sendable, Codable, Equatable {
        /// The keys in force.
        public var keys: [Key] = []
        /// Those that are not, and of which the log may not know it yet; nil is none.
        var revoked: [RevokedKey]?
    }

    /// What tells one state of the file from another.
    private struct Stamp: Equatable {
        let inode: ino_t
        let size: off_t
        let seconds: Int
        let nanoseconds: Int
        /// Of the last change to the mode or the owner too.
        let changeSeconds: Int
        let changeNanoseconds: Int

        /// That there is no file.
        static let absent = Stamp(
            inode: 0, size: -1, seconds: 0, nanoseconds: 0, changeSeconds: 0, changeNanoseconds: 0)
    }

    private struct State {
        /// Nil if the file was not looked at, or could not be.
        var stamp: Stamp?
        var ring = KeyRing([])
        /// The keys that may act; nil is all of the file.
        var admitted: Set<KeyFacts>?
        var fault: KeyFileError?
    }

    private static let byteCountMax = 16 << 20

    private let path: String
    private let extra: [Key]
    private let onFault: @Sendable (KeyFileError) -> Void
    private let state = Mutex(State())

    /// The keys in the file at `path`, which need not exist, and an extra one with every scope
    /// that is kept in memory only. `onFault` is told once of a file that cannot be used.
    public init(
        path: String, extraKey: String? = nil,
        onFault: @escaping @Sendable (KeyFileError) -> Void = { _ in }
    ) {
        self.path = path
        self.onFault = onFault
        extra = extraKey.map {
            [Key(name: Key.environmentName, text: $0, scopes: Scope.allCases, tables: nil)]
        } ?? []
    }

    /// Whether the environment gave a key.
    var hasExtraKey: Bool { !extra.isEmpty }

    /// The holder of a key, by the file as it is now. A file that cannot be used lets nobody in,
    /// not even who has the extra key: something is wrong with the folder.
    public func caller(presenting key: String) -> Caller? {
        let stamp = currentStamp()
        let ring = state.withLock { state in
            if stamp == nil || state.stamp != stamp { read(into: &state, stamp) }
            return state.ring
        }
        return ring.caller(presenting: key)
    }

    /// From now on only keys of which the log says this may act.
    public func admit(only facts: Set<KeyFacts>) {
        state.withLock { state in
            state.admitted = facts
            state.stamp = nil
        }
    }

    private func read(into state: inout State, _ stamp: Stamp?) {
        do throws(KeyFileError) {
            let (own, admitted) = (try content().keys, state.admitted)
            state.ring = KeyRing(
                extra.filter { _ in admitted?.contains(.environment) ?? true }
                    + own.filter { admitted?.contains($0.facts) ?? true })
            state.fault = nil
        } catch {
            state.ring = KeyRing([])
            if state.fault != error { onFault(error) }
            state.fault = error
        }
        state.stamp = stamp
    }

    /// All keys in the file.
    public func list() throws(KeyFileError) -> [Key] { try content().keys }

    /// What the file holds; nothing if there is none.
    ///
    /// - Throws: `KeyFileError` if it cannot be read, or is not its owner's alone.
    public func content() throws(KeyFileError) -> Content {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return Content() }
            throw .system(call: "open", path: path, code: errno)
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        defer { withExtendedLifetime(file) {} }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else {
            throw .system(call: "fstat", path: path, code: errno)
        }
        guard facts.st_uid == geteuid() else { throw .foreign(path: path, owner: facts.st_uid) }
        guard facts.st_mode & 0o077 == 0 else {
            throw .exposed(path: path, mode: facts.st_mode & 0o7777)
        }
        guard facts.st_mode & S_IFMT == S_IFREG, facts.st_size <= Self.byteCountMax,
            let data = try? file.readToEnd(),
            let content = try? JSONDecoder().decode(Content.self, from: data)
        else { throw .unreadable(path: path) }
        return content
    }

    /// Refuses what cannot name a key.
    public static func check(name: String) throws(KeyFileError) {
        guard (1...64).contains(name.utf8.count),
            name.utf8.allSatisfy({ byte in
                let character = Character(UnicodeScalar(byte))
                return byte < 0x80
                    && (character.isLetter || character.isNumber || "-_.".contains(character))
            })
        else { throw .badName(name) }
        guard !Key.reservedNames.contains(name) else { throw .reservedName(name) }
    }

    /// Adds a key, which acts from then on if the log knows it.
    public func add(_ key: Key) throws(KeyFileError) {
        try KeyFile.check(name: key.name)
        try change { content throws(KeyFileError) in
            guard !content.keys.contains(where: { $0.name == key.name }) else {
                throw .nameTaken(key.name)
            }
            content.keys.append(key)
        }
    }

    /// Takes a key away at once, and keeps who did it until the log has it.
    ///
    /// - Returns: false if it was taken away before, and the log may not have it.
    @discardableResult
    public func revoke(name: String, by principal: String) throws(KeyFileError) -> Bool {
        var isDone = true
        try change { content throws(KeyFileError) in
            guard let index = content.keys.firstIndex(where: { $0.name == name }) else {
                isDone = false
                guard content.revoked?.contains(where: { $0.key.name == name }) == true else {
                    throw .unknownName(name)
                }
                return
            }
            let key = content.keys.remove(at: index)
            content.revoked = (content.revoked ?? []) + [RevokedKey(key: key, by: principal)]
        }
        return isDone
    }

    /// Drops keys that were taken away: the log has it.
    func forget(_ revoked: [RevokedKey]) throws(KeyFileError) {
        try change { content in
            let rest = (content.revoked ?? []).filter { !revoked.contains($0) }
            content.revoked = rest.isEmpty ? nil : rest
        }
    }

    private func change(
        _ body: (inout Content) throws(KeyFileError) -> Void
    ) throws(KeyFileError) {
        let lock = path + ".lock"
        let descriptor = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: lock, code: errno) }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX) == 0 else {
            throw .system(call: "flock", path: lock, code: errno)
        }
        let before = try content()
        var after = before
        try body(&after)
        if after != before { try replace(with: after) }
    }

    /// Writes a new file beside the old one, syncs it, renames it, and syncs the folder.
    private func replace(with content: Content) throws(KeyFileError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        guard let data = try? encoder.encode(content) else {
            preconditionFailure("keys are plain text")
        }
        let new = path + ".new"
        // A leftover of another mode or owner must not become the file.
        unlink(new)
        let descriptor = open(new, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: new, code: errno) }
        let written = data.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        let isWritten = written == data.count && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isWritten else { throw .system(call: "write", path: new, code: code) }
        guard rename(new, path) == 0 else {
            throw .system(call: "rename", path: path, code: errno)
        }
        let folder = (path as NSString).deletingLastPathComponent
        let handle = open(folder.isEmpty ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw .system(call: "open", path: folder, code: errno) }
        defer { close(handle) }
        guard fsync(handle) == 0 else {
            throw .system(call: "fsync", path: folder, code: errno)
        }
    }

    private func currentStamp() -> Stamp? {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return errno == ENOENT ? .absent : nil }
        return Stamp(
            inode: facts.st_ino, size: facts.st_size, seconds: facts.st_mtim.tv_sec,
            nanoseconds: facts.st_mtim.tv_nsec, changeSeconds: facts.st_ctim.tv_sec,
            changeNanoseconds: facts.st_ctim.tv_nsec)
    }
}
