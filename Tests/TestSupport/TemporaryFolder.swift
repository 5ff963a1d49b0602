import Foundation

/// A folder of its own for one test, removed with its contents when the last reference goes.
///
/// Its path is short (a socket's is limited to 107 bytes) and others may enter it: as root, the
/// private Postgres runs as another user.
public final class TemporaryFolder: Sendable {
    /// The absolute path.
    public let path: String

    /// Makes the folder, mode 0755, in the system's temporary folder.
    /// - Throws: ``TestSupportError/system(call:errno:)``.
    public init() throws(TestSupportError) {
        let base = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path
        var template = Array("\(base)/daybook-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .system(call: "mkdtemp", errno: errno) }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        guard chmod(path, 0o755) == 0 else { throw .system(call: "chmod", errno: errno) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The absolute path of something inside.
    public func path(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file inside, with the folders above it.
    /// - Returns: its absolute path.
    @discardableResult
    public func write(_ text: String, to name: String) throws -> String {
        let file = URL(fileURLWithPath: path(name))
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
        return file.path
    }
}
