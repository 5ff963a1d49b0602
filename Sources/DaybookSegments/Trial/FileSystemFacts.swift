import DaybookLog
import Glibc

/// What the system says of the file system that a folder is on.
///
/// Source: statvfs(3), proc(5) on `mountinfo`, the kernel's `Documentation/block/queue-sysfs`.
public struct FileSystemFacts: Sendable, Equatable {
    /// Its type as `mount` names it, such as `ext4` or `tmpfs`.
    public var type: String
    /// Where it is mounted.
    public var mountPoint: String
    /// What is mounted: a device, or a word such as `tmpfs`.
    public var device: String
    /// The options of the mount and of the file system itself.
    public var options: [String]
    /// How many bytes are free for this user.
    public var freeByteCount: UInt64
    /// Whether what is written stays in memory, here or in the layer that an overlay writes to.
    public var isMemory: Bool
    /// `write back` or `write through`, as the kernel knows the device; nil if it does not say.
    public var deviceCache: String?

    /// Facts that were gathered elsewhere, for a test of the verdict.
    public init(
        type: String, mountPoint: String = "/", device: String = "/dev/sda1",
        options: [String] = ["rw"], freeByteCount: UInt64 = 1 << 34, isMemory: Bool = false,
        deviceCache: String? = nil
    ) {
        self.type = type
        self.mountPoint = mountPoint
        self.device = device
        self.options = options
        self.freeByteCount = freeByteCount
        self.isMemory = isMemory
        self.deviceCache = deviceCache
    }

    /// Asks the system about the folder at `path`.
    ///
    /// - Throws: `LogError.system` if the folder cannot be looked at.
    public init(folder path: String) throws(LogError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw .system(call: "stat", file: path, code: errno)
        }
        var facts = statvfs()
        guard statvfs(path, &facts) == 0 else {
            throw .system(call: "statvfs", file: path, code: errno)
        }
        let mount = Mount.holding(path)
        type = mount?.type ?? "?"
        mountPoint = mount?.point ?? "?"
        device = mount?.source ?? "?"
        options = mount?.options ?? []
        freeByteCount = UInt64(facts.f_bavail) * UInt64(facts.f_frsize)
        isMemory = FileSystemFacts.memoryTypes.contains(type)
        if type == "overlay" { isMemory = FileSystemFacts.upperIsMemory(options) }
        if device.hasPrefix("/dev/ram") { isMemory = true }
        deviceCache = FileSystemFacts.cache(device: UInt64(status.st_dev))
    }

    private static let memoryTypes: Set<String> = ["tmpfs", "ramfs", "devtmpfs", "hugetlbfs"]
    /// File systems whose server is another machine.
    public static let networkTypes: Set<String> = [
        "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs", "afs",
    ]

    /// Where an overlay writes, if that can be seen from here.
    private static func upperIsMemory(_ options: [String]) -> Bool {
        guard let upper = options.first(where: { $0.hasPrefix("upperdir=") }) else { return false }
        let mount = Mount.holding(String(upper.dropFirst("upperdir=".count)))
        return mount.map { memoryTypes.contains($0.type) } ?? false
    }

    /// A partition's own folder has no queue: that of its disk does, one folder above.
    private static func cache(device: UInt64) -> String? {
        let major = (device >> 8) & 0xFFF
        let minor = (device & 0xFF) | ((device >> 12) & 0xFFF00)
        let folder = "/sys/dev/block/\(major):\(minor)"
        for path in ["\(folder)/queue/write_cache", "\(folder)/../queue/write_cache"] {
            guard let text = SmallFile.text(path) else { continue }
            return text.split(separator: "\n").first.map(String.init)
        }
        return nil
    }
}

/// A line of `mountinfo`.
struct Mount: Equatable {
    let point: String
    let type: String
    let source: String
    let options: [String]

    /// The mount that holds `path`, which is made absolute first.
    static func holding(_ path: String) -> Mount? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        let lines = SmallFile.text("/proc/self/mountinfo") ?? ""
        return holding(String(cString: resolved), in: lines)
    }

    /// The last of the mounts whose point is the longest prefix of `path`.
    static func holding(_ path: String, in lines: String) -> Mount? {
        var found: Mount?
        for line in lines.split(separator: "\n") {
            guard let mount = Mount(line: line), mount.holds(path) else { continue }
            if mount.point.utf8.count >= found?.point.utf8.count ?? 0 { found = mount }
        }
        return found
    }

    /// `36 35 98:0 /root /point options optional… - type source super-options`
    private init?(line: Substring) {
        let words = line.split(separator: " ").map(String.init)
        guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count > dash + 2 else {
            return nil
        }
        // Spaces in names are written as \040.
        point = words[4].replacing("\\040", with: " ")
        type = words[dash + 1]
        source = words[dash + 2]
        let own = words[5].split(separator: ",").map(String.init)
        let all = words.count > dash + 3 ? words[dash + 3].split(separator: ",") : []
        options = own + all.map(String.init).filter { !own.contains($0) }
    }

    private func holds(_ path: String) -> Bool {
        path == point || path.hasPrefix(point == "/" ? "/" : point + "/")
    }
}

/// Files of the kernel's: short, and without a length of their own.
enum SmallFile {
    static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count < 1 << 22 {
            let count = read(descriptor, &piece, piece.count)
            if count <= 0 { break }
            bytes += piece[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
