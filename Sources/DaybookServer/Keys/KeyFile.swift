import Foundation
import Synchronization

/// Why keys cannot be read or changed.
public enum KeyFileError: Error, Equatable, CustomStringConvertible {
    /// A key of that name is there already.
    case nameTaken(String)
    /// No key has that name.
    case unknownName(String)
    /// A name is 1 to 64 letters, digits, `-`, `_` and `.`.
    case badName(String)
    /// The file is not what this program writes.
    case unreadable(path: String)
    /// The system refused a call.
    case system(call: String, path: String, code: Int32)

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .nameTaken(let name):
            "a key named \(name) exists; revoke it first (daybook keys revoke \(name))"
        case .unknownName(let name): "no key is named \(name); see daybook keys list"
        case .badName(let name):
            "\(name) cannot name a key: use up to 64 letters, digits, - _ and ."
        case .unreadable(let path):
            "\(path) is no file of keys; move it away and create the keys again"
        case .system(let call, let path, let code):
            "\(call) \(path): \(String(cString: strerror(code)))"
        }
    }
}

/// The keys of a ledger, kept in a file (0600) as digests: `data/keys.json`.
///
/// The file is replaced as a whole and read again when it has changed, so a change acts at once in
/// a running server. Changes by several processes wait for each other.
public final class KeyFile: KeyAuthority {
    private struct Content: Codable {
        var keys: [Key]
    }

    /// What tells one state of the file from another.
    private struct Stamp: Equatable {
        let inode: ino_t
        let size: off_t
        let seconds: Int
        let nanoseconds: Int
    }

    private struct State {
        var stamp: Stamp?
        var ring: KeyRing
    }

    private let path: String
    private let extra: [Key]
    private let state: Mutex<State>

    /// The keys in the file at `path`, which need not exist, and an extra one with every scope
    /// that is kept in memory only.
    public init(path: String, extraKey: String? = nil) {
        self.path = path
        extra = extraKey.map {
            [Key(name: "environment", text: $0, scopes: Scope.allCases, tables: nil)]
        } ?? []
        state = Mutex(State(stamp: nil, ring: KeyRing(extra)))
    }

    /// The holder of a key, by the file as it is now. A file that cannot be read lets nobody in.
    public func caller(presenting key: String) -> Caller? {
        let stamp = currentStamp()
        let ring = state.withLock { state in
            if state.stamp != stamp {
                state.ring = KeyRing(extra + ((try? list()) ?? []))
                state.stamp = stamp
            }
            return state.ring
        }
        return ring.caller(presenting: key)
    }

    /// All keys in the file.
    public func list() throws(KeyFileError) -> [Key] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        guard let data = FileManager.default.contents(atPath: path),
            let content = try? JSONDecoder().decode(Content.self, from: data)
        else { throw .unreadable(path: path) }
        return content.keys
    }

    /// Makes a key and gives its text, which is kept nowhere.
    public func create(
        name: String, scopes: [Scope], tables: [String]?
    ) throws(KeyFileError) -> String {
        guard (1...64).contains(name.utf8.count),
            name.utf8.allSatisfy({ byte in
                let character = Character(UnicodeScalar(byte))
                return byte < 0x80
                    && (character.isLetter || character.isNumber || "-_.".contains(character))
            })
        else { throw .badName(name) }
        let text = Key.randomText()
        let key = Key(name: name, text: text, scopes: scopes, tables: tables)
        try change { keys throws(KeyFileError) in
            guard !keys.contains(where: { $0.name == name }) else { throw .nameTaken(name) }
            keys.append(key)
        }
        return text
    }

    /// Takes a key away.
    public func revoke(name: String) throws(KeyFileError) {
        try change { keys throws(KeyFileError) in
            guard let index = keys.firstIndex(where: { $0.name == name }) else {
                throw .unknownName(name)
            }
            keys.remove(at: index)
        }
    }

    private func change(
        _ body: (inout [Key]) throws(KeyFileError) -> Void
    ) throws(KeyFileError) {
        let lock = path + ".lock"
        let descriptor = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: lock, code: errno) }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX) == 0 else {
            throw .system(call: "flock", path: lock, code: errno)
        }
        var keys = try list()
        try body(&keys)
        try replace(with: keys)
    }

    /// Writes a new file beside the old one, syncs it, and renames it.
    private func replace(with keys: [Key]) throws(KeyFileError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        guard let data = try? encoder.encode(Content(keys: keys)) else {
            preconditionFailure("keys are plain text")
        }
        let new = path + ".new"
        let descriptor = open(new, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: new, code: errno) }
        let written = data.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        let isWritten = written == data.count && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isWritten else { throw .system(call: "write", path: new, code: code) }
        guard rename(new, path) == 0 else {
            throw .system(call: "rename", path: path, code: errno)
        }
    }

    private func currentStamp() -> Stamp? {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        return Stamp(
            inode: facts.st_ino, size: facts.st_size, seconds: facts.st_mtim.tv_sec,
            nanoseconds: facts.st_mtim.tv_nsec)
    }
}
