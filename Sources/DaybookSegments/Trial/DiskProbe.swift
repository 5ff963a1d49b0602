import DaybookLog
import Glibc

/// Tries the calls that the engine makes, in a folder of its own, and measures them.
///
/// It makes files in the folder and leaves them there: whoever made the folder takes it away.
/// Source: open(2), fdatasync(2), posix_fadvise(2), flock(2).
public struct DiskProbe {
    private let folder: String

    /// A probe in `folder`, which is there and empty.
    public init(folder: String) { self.folder = folder }

    /// No file of a probe grows beyond this: it is begun again.
    private static let fileByteCountMax = 64 << 20
    #if arch(arm64)
    private static let direct: Int32 = 0o200000
    #else
    private static let direct: Int32 = 0o40000
    #endif
    private static let dataSync: Int32 = 0o10000

    /// Appends `byteCount` bytes and syncs, again and again, while `goesOn`.
    ///
    /// - Throws: `LogError.system` for the first call that is refused.
    public func appends(
        of byteCount: Int, goesOn: (Int) throws -> Bool
    ) throws -> Latencies {
        let file = try ProbeFile("\(folder)/append-\(byteCount)", O_RDWR | O_CREAT | O_TRUNC)
        var latencies = Latencies()
        var offset = 0
        while try goesOn(latencies.count) {
            let bytes = DiskProbe.bytes(count: byteCount, at: offset)
            let start = ContinuousClock.now
            try file.write(bytes, at: offset)
            try file.sync()
            latencies.add(ContinuousClock.now - start)
            offset += byteCount
            if offset >= DiskProbe.fileByteCountMax {
                try file.truncate()
                offset = 0
            }
        }
        return latencies
    }

    /// Appends 4 KiB to a file whose writes are synchronous by themselves.
    ///
    /// - Throws: `LogError.system` for the first call that is refused.
    public func synchronousWrites(goesOn: (Int) throws -> Bool) throws -> Latencies {
        let file = try ProbeFile(
            "\(folder)/dsync", O_RDWR | O_CREAT | O_TRUNC | DiskProbe.dataSync)
        var latencies = Latencies()
        var offset = 0
        while try goesOn(latencies.count) {
            let bytes = DiskProbe.bytes(count: 4096, at: offset)
            let start = ContinuousClock.now
            try file.write(bytes, at: offset)
            latencies.add(ContinuousClock.now - start)
            offset += 4096
            if offset >= DiskProbe.fileByteCountMax {
                try file.truncate()
                offset = 0
            }
        }
        return latencies
    }

    /// Makes a file under another name, renames it and syncs the folder, as a new segment is made;
    /// whether it is then there under its new name alone.
    ///
    /// - Throws: `LogError.system` if a call is refused.
    public func renames() throws -> Bool {
        let file = try ProbeFile("\(folder)/rename.tmp", O_RDWR | O_CREAT | O_EXCL)
        try file.write(DiskProbe.bytes(count: 4096, at: 0), at: 0)
        try file.sync()
        guard rename("\(folder)/rename.tmp", "\(folder)/renamed") == 0 else {
            throw LogError.system(call: "rename", file: "rename.tmp", code: errno)
        }
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw LogError.system(call: "open", file: folder, code: errno)
        }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw LogError.system(call: "fsync", file: folder, code: errno)
        }
        return access("\(folder)/renamed", F_OK) == 0 && access("\(folder)/rename.tmp", F_OK) != 0
    }

    /// Appends 8 MiB in blocks, each synced, tells the page cache to forget them, and reads them
    /// again: past the cache where the file system allows it.
    ///
    /// - Throws: `LogError.system` if a call is refused.
    public func readBack() throws -> DiskTrial.ReadBack {
        let byteCount = 64 << 10
        let blockCount = 128
        let path = "\(folder)/read-back"
        let file = try ProbeFile(path, O_RDWR | O_CREAT | O_TRUNC)
        for block in 0..<blockCount {
            let offset = block * byteCount
            try file.write(DiskProbe.bytes(count: byteCount, at: offset), at: offset)
            try file.sync()
        }
        file.forget()
        // Some file systems refuse the flag when opening, some only when reading.
        for flag in [DiskProbe.direct, 0] {
            guard let reader = try? ProbeFile(path, O_RDONLY | flag) else { continue }
            do {
                let different = try reader.firstDifference(byteCount: byteCount, of: blockCount)
                if let different { return .different(offset: different) }
                return .same(fromDevice: flag != 0)
            } catch {
                guard flag != 0, case .system(_, _, EINVAL) = error else {
                    throw error
                }
            }
        }
        throw LogError.system(call: "open", file: path, code: EIO)
    }

    /// Writes until there is no space, if less than `byteCountMax` is free; what refused.
    ///
    /// - Throws: `LogError.system` for any other refusal.
    public func fill(
        freeByteCount: UInt64, byteCountMax: UInt64, goesOn: () throws -> Bool
    ) throws -> DiskTrial.FullDisk {
        guard freeByteCount <= byteCountMax else { return .tooLarge }
        let path = "\(folder)/fill"
        let file = try ProbeFile(path, O_RDWR | O_CREAT | O_TRUNC)
        defer { unlink(path) }
        var offset = 0
        let bytes = DiskProbe.bytes(count: 1 << 20, at: 0)
        while try goesOn() {
            if try !DiskProbe.hasSpace({ try file.write(bytes, at: offset) }) {
                return .refusedWrite
            }
            if try !DiskProbe.hasSpace(file.sync) { return .refusedSync }
            offset += bytes.count
        }
        return .tooLarge
    }

    /// False if the call was refused for want of space.
    private static func hasSpace(_ call: () throws -> Void) throws -> Bool {
        do {
            try call()
            return true
        } catch {
            guard case .system(_, _, let code)? = error as? LogError,
                code == ENOSPC || code == EDQUOT
            else { throw error }
            return false
        }
    }

    /// Bytes that say where they belong, so that no block passes for another.
    static func bytes(count: Int, at offset: Int) -> [UInt8] {
        var state = UInt64(bitPattern: Int64(offset)) &* 0x9E37_79B9_7F4A_7C15 | 1
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            for place in 0..<count {
                if place & 7 == 0 {
                    state ^= state << 13
                    state ^= state >> 7
                    state ^= state << 17
                }
                buffer[place] = UInt8(truncatingIfNeeded: state >> UInt64((place & 7) * 8))
            }
            initialized = count
        }
    }
}

/// An open file of the probe's; closed when nobody holds it.
private final class ProbeFile {
    private let descriptor: Int32
    private let path: String

    init(_ path: String, _ flags: Int32) throws(LogError) {
        self.path = path
        descriptor = open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", file: path, code: errno) }
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8], at offset: Int) throws(LogError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                pwrite(
                    descriptor, raw.baseAddress.map { $0 + done }, raw.count - done,
                    off_t(offset + done))
            }
            if count <= 0, errno == EINTR { continue }
            guard count > 0 else {
                throw .system(call: "pwrite", file: path, code: count == 0 ? ENOSPC : errno)
            }
            done += count
        }
    }

    func sync() throws(LogError) {
        guard fdatasync(descriptor) == 0 else {
            throw .system(call: "fdatasync", file: path, code: errno)
        }
    }

    func truncate() throws(LogError) {
        guard ftruncate(descriptor, 0) == 0 else {
            throw .system(call: "ftruncate", file: path, code: errno)
        }
    }

    /// The page cache may keep them all the same.
    func forget() { _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) }

    /// The first byte that is not as `DiskProbe.bytes` says, in blocks of `byteCount`.
    func firstDifference(byteCount: Int, of blockCount: Int) throws(LogError) -> Int? {
        // Memory for direct reads has to lie as blocks of the device do.
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 4096)
        defer { memory.deallocate() }
        for block in 0..<blockCount {
            let offset = block * byteCount
            let count = pread(descriptor, memory.baseAddress, byteCount, off_t(offset))
            guard count >= 0 else { throw .system(call: "pread", file: path, code: errno) }
            let wanted = DiskProbe.bytes(count: byteCount, at: offset)
            let found = UnsafeRawBufferPointer(memory).prefix(count)
            for place in 0..<byteCount where place >= count || found[place] != wanted[place] {
                return offset + place
            }
        }
        return nil
    }
}
