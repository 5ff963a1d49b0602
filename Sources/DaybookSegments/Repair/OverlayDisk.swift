import DaybookLog

/// A log's folder as it will be after a repair: the files that stay, and the new ones, which are
/// kept under other names until the repair is decided. So the engine itself writes and verifies
/// what a repair makes.
struct OverlayDisk: LogDisk {
    static let suffix = ".new"
    let base: any LogDisk
    /// Files of the folder that stay as they are.
    let visible: Set<String>

    /// Those that stay, and the new ones under the names that they will have.
    func names() throws(DiskError) -> [String] {
        var names = visible
        for name in try base.names() where name.hasSuffix(OverlayDisk.suffix) {
            names.insert(String(name.dropLast(OverlayDisk.suffix.utf8.count)))
        }
        return names.sorted()
    }

    /// A new file if there is one of the name, else one that stays; whatever is made is new.
    func open(_ name: String, _ mode: DiskMode) throws(DiskError) -> any DiskFile {
        let isMade =
            switch mode {
            case .create, .readWriteOrCreate: true
            case .read, .readWrite: try base.names().contains(name + OverlayDisk.suffix)
            }
        return try base.open(isMade ? name + OverlayDisk.suffix : name, mode)
    }

    func rename(_ name: String, to newName: String) throws(DiskError) {
        try base.rename(name + OverlayDisk.suffix, to: newName + OverlayDisk.suffix)
    }

    func remove(_ name: String) throws(DiskError) {
        try base.remove(name + OverlayDisk.suffix)
    }

    func syncFolder() throws(DiskError) { try base.syncFolder() }
}
