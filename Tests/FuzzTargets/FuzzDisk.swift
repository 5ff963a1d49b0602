import DaybookSegments
import Synchronization

/// A folder in memory, for a log that is opened some thousand times a second.
final class FuzzDisk: LogDisk {
    private struct State: Sendable {
        var inodes: [String: Int] = [:]
        var contents: [[UInt8]] = []
    }

    private let state: Mutex<State>

    init(_ files: [String: [UInt8]]) {
        var state = State()
        for (name, content) in files {
            state.inodes[name] = state.contents.count
            state.contents.append(content)
        }
        self.state = Mutex(state)
    }

    func names() throws(DiskError) -> [String] { state.withLock { Array($0.inodes.keys) } }

    func open(_ name: String, _ mode: DiskMode) throws(DiskError) -> any DiskFile {
        let inode = state.withLock { state -> Int? in
            if let inode = state.inodes[name] {
                if case .create = mode { return nil }
                return inode
            }
            switch mode {
            case .read, .readWrite: return nil
            case .create, .readWriteOrCreate: break
            }
            state.inodes[name] = state.contents.count
            state.contents.append([])
            return state.contents.count - 1
        }
        guard let inode else { throw DiskError(call: "open", file: name, code: 2) }
        return FuzzFile(disk: self, inode: inode)
    }

    func rename(_ name: String, to newName: String) throws(DiskError) {
        state.withLock { $0.inodes[newName] = $0.inodes.removeValue(forKey: name) }
    }

    func remove(_ name: String) throws(DiskError) { state.withLock { $0.inodes[name] = nil } }

    func syncFolder() throws(DiskError) {}

    fileprivate func withContent<R: Sendable>(
        _ inode: Int, _ body: (inout [UInt8]) -> R
    ) -> R {
        state.withLock { body(&$0.contents[inode]) }
    }
}

private final class FuzzFile: DiskFile {
    private let disk: FuzzDisk
    private let inode: Int

    init(disk: FuzzDisk, inode: Int) {
        self.disk = disk
        self.inode = inode
    }

    func byteCount() throws(DiskError) -> UInt64 {
        disk.withContent(inode) { UInt64($0.count) }
    }

    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
        let content = disk.withContent(inode) { $0 }
        guard offset < UInt64(content.count) else { return 0 }
        let part = content[Int(offset)...].prefix(bytes.count)
        bytes.copyBytes(from: part)
        return part.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
        let added = Array(bytes)
        disk.withContent(inode) { content in
            let end = Int(offset) + added.count
            if content.count < end {
                content += [UInt8](repeating: 0, count: end - content.count)
            }
            content.replaceSubrange(Int(offset)..<end, with: added)
        }
        return added.count
    }

    func sync() throws(DiskError) {}

    func truncate(to byteCount: UInt64) throws(DiskError) {
        disk.withContent(inode) { $0 = Array($0.prefix(Int(byteCount))) }
    }
}
