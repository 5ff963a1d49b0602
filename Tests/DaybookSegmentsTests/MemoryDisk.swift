import DaybookSegments
import Synchronization

/// A folder in memory that writes down every call and can refuse one.
final class MemoryDisk: LogDisk {
    struct Call: Equatable, Sendable {
        let name: String
        let file: String
    }

    struct State: Sendable {
        /// What each name stands for: an open file goes on under another name.
        var inodes: [String: Int] = [:]
        var contents: [Int: [UInt8]] = [:]
        var calls: [Call] = []
        /// Refuses the call with this `errno` if it says one.
        var fault: (@Sendable (Call) -> Int32?)?
        /// Takes at most so many bytes of a write, then refuses with ENOSPC.
        var freeByteCount = Int.max
    }

    let state = Mutex(State())

    init(files: [String: [UInt8]] = [:]) {
        self.files = files
    }

    /// The segments' names, in order.
    var segmentNames: [String] {
        files.keys.filter { $0.hasSuffix(".avro.lz4") }.sorted()
    }

    var files: [String: [UInt8]] {
        get { state.withLock { state in state.inodes.mapValues { state.contents[$0] ?? [] } } }
        set {
            state.withLock { state in
                state.inodes = [:]
                for (name, content) in newValue {
                    state.inodes[name] = state.contents.count
                    state.contents[state.contents.count] = content
                }
            }
        }
    }

    var calls: [Call] { state.withLock { $0.calls } }

    func refuse(_ fault: (@Sendable (Call) -> Int32?)?) {
        state.withLock { $0.fault = fault }
    }

    static func note(
        _ state: inout State, _ name: String, _ file: String
    ) throws(DiskError) {
        let call = Call(name: name, file: file)
        state.calls.append(call)
        if let code = state.fault?(call) { throw DiskError(call: name, file: file, code: code) }
    }

    func names() throws(DiskError) -> [String] { Array(files.keys) }

    func open(_ name: String, _ mode: DiskMode) throws(DiskError) -> any DiskFile {
        let inode = try state.withLock { (state) throws(DiskError) -> Int in
            try MemoryDisk.note(&state, "open", name)
            if let inode = state.inodes[name] {
                if mode == .create { throw DiskError(call: "open", file: name, code: 17) }
                return inode
            }
            if mode == .read || mode == .readWrite {
                throw DiskError(call: "open", file: name, code: 2)
            }
            let inode = state.contents.count
            state.inodes[name] = inode
            state.contents[inode] = []
            return inode
        }
        return MemoryFile(disk: self, inode: inode, name: name)
    }

    func rename(_ name: String, to newName: String) throws(DiskError) {
        try state.withLock { (state) throws(DiskError) in
            try MemoryDisk.note(&state, "rename", name)
            state.inodes[newName] = state.inodes.removeValue(forKey: name)
        }
    }

    func remove(_ name: String) throws(DiskError) {
        try state.withLock { (state) throws(DiskError) in
            try MemoryDisk.note(&state, "unlink", name)
            state.inodes[name] = nil
        }
    }

    func syncFolder() throws(DiskError) {
        try state.withLock { (state) throws(DiskError) in
            try MemoryDisk.note(&state, "fsync", "")
        }
    }
}

final class MemoryFile: DiskFile {
    private let disk: MemoryDisk
    private let inode: Int
    private let opened: String

    init(disk: MemoryDisk, inode: Int, name: String) {
        self.disk = disk
        self.inode = inode
        opened = name
    }

    /// The name that the file has now.
    private func name(_ state: borrowing MemoryDisk.State) -> String {
        state.inodes.first { $0.value == inode }?.key ?? opened
    }

    func byteCount() throws(DiskError) -> UInt64 {
        disk.state.withLock { UInt64($0.contents[inode]?.count ?? 0) }
    }

    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
        let content = disk.state.withLock { $0.contents[inode] ?? [] }
        guard Int(offset) < content.count else { return 0 }
        let part = content[Int(offset)...].prefix(bytes.count)
        bytes.copyBytes(from: part)
        return part.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
        try disk.state.withLock { (state) throws(DiskError) in
            let name = name(state)
            try MemoryDisk.note(&state, "pwrite", name)
            let count = min(bytes.count, state.freeByteCount)
            if count == 0 { throw DiskError(call: "pwrite", file: name, code: 28) }
            if state.freeByteCount < Int.max { state.freeByteCount -= count }
            var content = state.contents[inode] ?? []
            let end = Int(offset) + count
            if content.count < end {
                content += [UInt8](repeating: 0, count: end - content.count)
            }
            content.replaceSubrange(Int(offset)..<end, with: bytes.prefix(count))
            state.contents[inode] = content
            return count
        }
    }

    func sync() throws(DiskError) {
        try disk.state.withLock { (state) throws(DiskError) in
            try MemoryDisk.note(&state, "fdatasync", name(state))
        }
    }

    func truncate(to byteCount: UInt64) throws(DiskError) {
        try disk.state.withLock { (state) throws(DiskError) in
            try MemoryDisk.note(&state, "ftruncate", name(state))
            state.contents[inode] = Array((state.contents[inode] ?? []).prefix(Int(byteCount)))
        }
    }
}
