import Crypto
import DaybookLog
import Foundation

/// SHA-256 of a file's bytes, by which its import is known again.
struct FileDigest {
    let digest: DaybookLog.Digest
    let byteCount: Int64

    /// Reads the whole file.
    ///
    /// - Throws: usage, if it cannot be read.
    init(of path: String) throws(CommandFailure) {
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            var hash = SHA256()
            var byteCount: Int64 = 0
            while let data = try file.read(upToCount: 1 << 20), !data.isEmpty {
                hash.update(data: data)
                byteCount += Int64(data.count)
            }
            digest = hash.finalize().withUnsafeBytes { DaybookLog.Digest($0) }
            self.byteCount = byteCount
        } catch {
            throw CommandFailure(.usage, "\(path): \(error.localizedDescription)")
        }
    }
}
