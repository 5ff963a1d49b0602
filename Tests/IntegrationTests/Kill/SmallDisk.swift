import Foundation
import TestSupport

/// A file system of a few megabytes, to be filled and emptied.
///
/// A tmpfs, which takes the right to mount: root has it, in most containers too. Where it is not
/// given, `DAYBOOK_SMALL_DISK` names a folder on a small file system that is there already, which
/// is used as it is and emptied.
final class SmallDisk {
    /// Its folder, empty at first.
    let path: String
    private let isMounted: Bool
    private var ballast: CInt = -1
    private var ballastPath: String { "\(path)/ballast" }

    /// Mounts one at `path`, which is made.
    init(at path: String, megabytes: Int) throws {
        let files = FileManager.default
        if let given = ProcessInfo.processInfo.environment["DAYBOOK_SMALL_DISK"] {
            for name in try files.contentsOfDirectory(atPath: given) where name != "lost+found" {
                try files.removeItem(atPath: "\(given)/\(name)")
            }
            try files.createSymbolicLink(atPath: path, withDestinationPath: given)
            (self.path, isMounted) = (path, false)
            return
        }
        try files.createDirectory(
            atPath: path, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let result = try runTool(
            "mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m,mode=0700", "tmpfs", path])
        guard result.status == 0 else {
            throw DaybookFailure(
                description: "a small disk cannot be made: \(result.errorText)\n"
                    + "run script/test as root with the right to mount (in a container: "
                    + "docker run --cap-add SYS_ADMIN, or podman run --privileged), or give it a "
                    + "small file system: docker run --tmpfs /small:size=16m "
                    + "-e DAYBOOK_SMALL_DISK=/small")
        }
        (self.path, isMounted) = (path, true)
    }

    deinit {
        free()
        // Lazily: whoever was killed may not be gone from it yet.
        if isMounted { _ = try? runTool("umount", ["--lazy", path]) }
    }

    /// Takes all the room that is left, to the last block.
    func fill() throws {
        ballast = open(ballastPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard ballast >= 0 else { throw TestSupportError.system(call: "open", errno: errno) }
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        var size = zeros.count
        while size >= 512 {
            if write(ballast, zeros, size) < size { size /= 2 }
        }
    }

    /// Gives the room back.
    func free() {
        guard ballast >= 0 else { return }
        ftruncate(ballast, 0)
        close(ballast)
        unlink(ballastPath)
        ballast = -1
    }
}
