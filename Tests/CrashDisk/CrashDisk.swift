// The device model. It was written before the code, and the code is judged by it.
//
// A process sees the cache: every call takes effect there at once, in order. The medium is what
// power loss leaves. A process that dies (`kill`) leaves the cache as it is.
//
// 1. Content. A file is made of sectors of 512 bytes. A sync of the file (`fdatasync`) that returns
//    puts all of its written sectors and its length on the medium. Until then each written sector
//    is by itself, at a power loss: *kept* (the medium has the new content), *dropped* (the old
//    content; zeros where the file grew) or *trashed* (garbage in the bytes that the write would
//    have changed). A write over several sectors is thereby torn in any way. The bytes of a sector
//    that are the same before and after a write are never trashed: drives write a sector whole or
//    not, and do not harm bytes that they are not told to change (power-safe overwrite).
// 2. Length. The length of an unsynced file is, after a power loss, the old one, the new one or any
//    between. Data without length is cut off; length without data is zeros.
// 3. Names. Made, renamed and removed names are durable after `syncFolder`. Until then each change
//    is kept or lost, in order (a journal: all up to one) or each by itself. A rename is one step:
//    the file has the old name or the new one, never none and never both. A file whose name was
//    lost is gone, though it was synced; a removed name that was not synced may come back.
// 4. Syncs that fail. As on Linux since 4.13: the failed sync reports the error once, some sectors
//    came through, and the others are taken for clean: the cache shows the new content, the medium
//    has the old, and a later sync reports success without writing them. They show when the page
//    leaves the cache (`evict`) or after a power loss. Writing them again makes them dirty again.
// 5. Without being asked the system writes sectors back, and commits names, at any time.
// 6. Space. With `spaceByteCount` set, a write that grows the files beyond it takes what fits, and
//    one that finds no room fails with ENOSPC. Writing in place needs no space.
// 7. Faults. The k-th call, of any kind or of one, of any file or of those with a suffix, fails
//    with an error, is short, lies (`lost`), goes to a wrong place (`misdirected`) or is the
//    process's last (`death`). EINTR can be given to any call; the real disk repeats all calls
//    that a signal interrupted, but for syncs, and so the engine only ever sees it from a sync.
// 8. Rot. Any bits may turn over, in the cache and on the medium.
//
// What it leaves out: sectors that cannot be read at all are a fault of the read call; order
// between files is not kept at all, which is more than file systems do to us.
//
// Sources: Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014); Rebello et al., "Can
// Applications Recover from fsync Failures?" (ATC 2020); SQLite, src/test6.c and "Atomic Commit in
// SQLite", on power-safe overwrite.

import DaybookSegments
import Synchronization

/// A folder in memory with a cache and a medium, faults on demand, and power loss.
///
/// Deterministic: what it decides by itself comes from a generator with the given seed.
public final class CrashDisk: LogDisk {
    /// A change of a name that is not durable yet.
    enum NameChange: Sendable {
        case made(String, Inode)
        case renamed(String, to: String, Inode)
        case removed(String)
    }

    /// Who uses a file opened before `kill` or `crash` is a process that is dead.
    struct State: ~Copyable {
        var names: [(name: String, inode: Inode)] = []
        var mediumNames: [(name: String, inode: Inode)] = []
        var changes: [NameChange] = []
        var faults: [DiskFault] = []
        var firedCount = 0
        var isDead = false
        var generation = 0
        var inodeCount = 0
        var callCounts = [Int](repeating: 0, count: DiskCall.allCases.count)
        var record: [CallRecord]?
        var spaceByteCount = Int.max
        var usedByteCount = 0
        var dice: UInt64
    }

    let state: Mutex<State>

    /// An empty folder.
    public init(seed: UInt64 = 0) {
        state = Mutex(State(dice: seed))
    }

    /// A folder with files that are durable.
    public convenience init(files: [(name: String, bytes: [UInt8])], seed: UInt64 = 0) {
        self.init(seed: seed)
        for (name, bytes) in files { put(bytes, as: name) }
    }

    // MARK: LogDisk

    /// In the order in which they were made.
    public func names() throws(DiskError) -> [String] {
        try state.withLock { (state) throws(DiskError) in
            try state.enter(.names, "")
            return state.names.map(\.name)
        }
    }

    /// Opens a file.
    public func open(_ name: String, _ mode: DiskMode) throws(DiskError) -> any DiskFile {
        try state.withLock { (state) throws(DiskError) -> CrashFile in
            try state.enter(.open, name)
            if let found = state.names.first(where: { $0.name == name }) {
                if mode == .create {
                    throw DiskError(call: "open", file: name, code: ErrorNumber.exists)
                }
                return CrashFile(self, found.inode, name, state.generation)
            }
            if mode == .read || mode == .readWrite {
                throw DiskError(call: "open", file: name, code: ErrorNumber.noEntry)
            }
            let inode = state.newInode(name)
            inode.linkCount = 1
            state.names.append((name, inode))
            state.changes.append(.made(name, inode))
            return CrashFile(self, inode, name, state.generation)
        }
    }

    /// Durable after `syncFolder`.
    public func rename(_ name: String, to newName: String) throws(DiskError) {
        try state.withLock { (state) throws(DiskError) in
            try state.enter(.rename, name)
            guard let place = state.names.firstIndex(where: { $0.name == name }) else {
                throw DiskError(call: "rename", file: name, code: ErrorNumber.noEntry)
            }
            let inode = state.names.remove(at: place).inode
            if let old = state.names.firstIndex(where: { $0.name == newName }) {
                state.unlink(state.names.remove(at: old).inode)
            }
            inode.name = newName
            state.names.append((newName, inode))
            state.changes.append(.renamed(name, to: newName, inode))
        }
    }

    /// Durable after `syncFolder`.
    public func remove(_ name: String) throws(DiskError) {
        try state.withLock { (state) throws(DiskError) in
            try state.enter(.remove, name)
            guard let place = state.names.firstIndex(where: { $0.name == name }) else {
                throw DiskError(call: "unlink", file: name, code: ErrorNumber.noEntry)
            }
            state.unlink(state.names.remove(at: place).inode)
            state.changes.append(.removed(name))
        }
    }

    /// Makes names durable.
    public func syncFolder() throws(DiskError) {
        try state.withLock { (state) throws(DiskError) in
            if try state.enter(.syncFolder, "") == .lost { return }
            state.commitNames(upTo: state.changes.count)
        }
    }
}

/// An open file.
// @unchecked: the inode is touched under the disk's mutex only, all else is constant.
final class CrashFile: DiskFile, @unchecked Sendable {
    private let disk: CrashDisk
    private let inode: Inode
    private let name: String
    private let generation: Int

    init(_ disk: CrashDisk, _ inode: Inode, _ name: String, _ generation: Int) {
        self.disk = disk
        self.inode = inode
        self.name = name
        self.generation = generation
    }

    private func enter(
        _ state: inout CrashDisk.State, _ call: DiskCall, _ offset: UInt64 = 0, _ count: Int = 0
    ) throws(DiskError) -> DiskFault.Effect? {
        guard generation == state.generation else {
            throw DiskError(call: call.rawValue, file: name, code: ErrorNumber.badDescriptor)
        }
        do {
            return try state.enter(call, inode.name, as: name, offset, count)
        } catch {
            if call == .sync { state.failSync(inode, error.code) }
            throw error
        }
    }

    func byteCount() throws(DiskError) -> UInt64 {
        try disk.state.withLock { (state) throws(DiskError) in
            _ = try enter(&state, .byteCount)
            return UInt64(inode.bytes.count)
        }
    }

    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
        try disk.state.withLock { (state) throws(DiskError) in
            let effect = try enter(&state, .read, offset, bytes.count)
            let count = inode.read(bytes, at: Int(offset))
            if case .short(let limit) = effect { return min(count, limit) }
            return count
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
        try disk.state.withLock { (state) throws(DiskError) in
            let effect = try enter(&state, .write, offset, bytes.count)
            var count = bytes.count
            if case .short(let limit) = effect { count = min(count, max(1, limit)) }
            if case .death(let limit) = effect { count = min(count, limit) }
            let growth = max(0, Int(offset) + count - inode.bytes.count)
            let room = inode.linkCount == 0 ? Int.max : state.spaceByteCount - state.usedByteCount
            if growth > max(0, room) { count -= growth - max(0, room) }
            if count <= 0, !state.isDead {
                throw DiskError(call: "pwrite", file: name, code: ErrorNumber.noSpace)
            }
            let before = inode.bytes.count
            let part = UnsafeRawBufferPointer(rebasing: bytes[..<max(0, count)])
            if effect == .lost {
                inode.loseWrite(part, at: Int(offset))
            } else {
                inode.write(part, at: Int(offset))
            }
            if inode.linkCount > 0 { state.usedByteCount += inode.bytes.count - before }
            if state.isDead {
                throw DiskError(call: "pwrite", file: name, code: ErrorNumber.input)
            }
            return count
        }
    }

    func sync() throws(DiskError) {
        try disk.state.withLock { (state) throws(DiskError) in
            switch try enter(&state, .sync) {
            case .lost: break
            case .misdirected(let sectors): inode.misdirectSync(by: sectors)
            default: inode.sync()
            }
        }
    }

    func truncate(to byteCount: UInt64) throws(DiskError) {
        try disk.state.withLock { (state) throws(DiskError) in
            _ = try enter(&state, .truncate, byteCount)
            let before = inode.bytes.count
            inode.truncate(to: Int(byteCount))
            if inode.linkCount > 0 { state.usedByteCount += inode.bytes.count - before }
        }
    }
}
