import DaybookSegments

extension CrashDisk.State {
    /// Counts and records a call; throws what its fault says, or gives the effect.
    @discardableResult
    mutating func enter(
        _ call: DiskCall, _ file: String, as opened: String? = nil, _ offset: UInt64 = 0,
        _ byteCount: Int = 0
    ) throws(DiskError) -> DiskFault.Effect? {
        let name = opened ?? file
        if isDead { throw DiskError(call: call.rawValue, file: name, code: ErrorNumber.input) }
        callCounts[call.place] += 1
        record?.append(CallRecord(call: call, file: name, offset: offset, byteCount: byteCount))
        if faults.isEmpty { return nil }
        guard let effect = fault(of: call, file) else { return nil }
        firedCount += 1
        switch effect {
        case .error(let code): throw DiskError(call: call.rawValue, file: name, code: code)
        case .death:
            isDead = true
            if call == .write { return effect }
            throw DiskError(call: call.rawValue, file: name, code: ErrorNumber.input)
        case .short, .lost, .misdirected: return effect
        }
    }

    private mutating func fault(of call: DiskCall, _ file: String) -> DiskFault.Effect? {
        for index in faults.indices {
            if let wanted = faults[index].call, wanted != call { continue }
            if let suffix = faults[index].fileSuffix, !file.hasSuffix(suffix) { continue }
            if faults[index].skipCount > 0 {
                faults[index].skipCount -= 1
                continue
            }
            let effect = faults[index].effect
            faults[index].repeatCount -= 1
            if faults[index].repeatCount == 0 { faults.remove(at: index) }
            return effect
        }
        return nil
    }

    /// SplitMix64.
    mutating func roll() -> UInt64 {
        dice &+= 0x9e37_79b9_7f4a_7c15
        var mixed = dice
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func failSync(_ inode: Inode, _ code: Int32) {
        // A process that died in the call, or a signal, loses no page.
        if isDead || code == ErrorNumber.interrupted { return }
        let bits = roll()
        inode.failSync { bits >> UInt64(($0 + 1) & 63) & 1 == 1 }
    }

    mutating func newInode(_ name: String) -> Inode {
        inodeCount += 1
        return Inode(name: name, number: inodeCount)
    }

    mutating func unlink(_ inode: Inode) {
        inode.linkCount -= 1
        if inode.linkCount == 0 { usedByteCount -= inode.bytes.count }
    }

    /// The first changes of names reach the medium.
    mutating func commitNames(upTo count: Int) {
        for change in changes[..<count] { apply(change) }
        changes.removeFirst(count)
    }

    /// One change of names reaches the medium.
    mutating func apply(_ change: CrashDisk.NameChange) {
        switch change {
        case .made(let name, let inode):
            mediumNames.removeAll { $0.name == name }
            mediumNames.append((name, inode))
        case .renamed(let name, let newName, let inode):
            mediumNames.removeAll { $0.name == newName }
            mediumNames.removeAll { $0.name == name && $0.inode === inode }
            mediumNames.append((newName, inode))
        case .removed(let name): mediumNames.removeAll { $0.name == name }
        }
    }

    /// A new process sees the folder; handles of the old one are dead.
    mutating func restart() {
        generation += 1
        isDead = false
        faults.removeAll()
        usedByteCount = names.reduce(0) { $0 + $1.inode.bytes.count }
    }
}

extension DiskCall {
    /// The case's place among all.
    var place: Int {
        switch self {
        case .names: 0
        case .open: 1
        case .rename: 2
        case .remove: 3
        case .syncFolder: 4
        case .byteCount: 5
        case .read: 6
        case .write: 7
        case .sync: 8
        case .truncate: 9
        }
    }
}
