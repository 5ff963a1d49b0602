import Foundation

/// Why keys cannot be read or changed.
public enum KeyFileError: Error, Equatable, CustomStringConvertible {
    /// A key of that name is there already.
    case nameTaken(String)
    /// No key has that name.
    case unknownName(String)
    /// A name is 1 to 64 letters, digits, `-`, `_` and `.`.
    case badName(String)
    /// The log calls something else by that name.
    case reservedName(String)
    /// The file is not what this program writes.
    case unreadable(path: String)
    /// Others than the owner may read or write the file.
    case exposed(path: String, mode: UInt32)
    /// The file is another user's.
    case foreign(path: String, owner: UInt32)
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
        case .reservedName(let name):
            "\(name) cannot name a key: the log calls something else so; choose another name"
        case .unreadable(let path):
            "\(path) is no file of keys; move it away and create the keys again"
        case .exposed(let path, let mode):
            "\(path) has mode 0\(String(mode, radix: 8)): others than its owner may read or "
                + "change the keys, so none is taken; see who did, then chmod 600 \(path)"
        case .foreign(let path, let owner):
            "\(path) belongs to user \(owner), who may change the keys, so none is taken; see "
                + "who put it there, then give it to the user who runs daybook"
        case .system(let call, let path, let code):
            "\(call) \(path): \(String(cString: strerror(code)))"
        }
    }
}
