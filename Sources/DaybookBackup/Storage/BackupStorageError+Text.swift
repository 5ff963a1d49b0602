import Glibc

extension BackupStorageError: CustomStringConvertible {
    /// What is wrong, for a person.
    public var description: String {
        switch self {
        case .system(let call, let path, let code):
            "\(call) \(path): \(String(cString: strerror(code)))"
        case .notFound(let what): what
        case .exists(let backup): "a backup \(backup) is there already"
        case .remote(let what), .target(let what): what
        }
    }
}
