/// What a power loss did.
public struct PowerLoss: Sendable, Equatable {
    /// Unsynced sectors by what became of them.
    public internal(set) var keptCount = 0
    /// Those with their old content.
    public internal(set) var droppedCount = 0
    /// Those with garbage.
    public internal(set) var trashedCount = 0
    /// Files whose length is neither what the process saw nor what was synced.
    public internal(set) var tornLengthCount = 0
    /// Changes of names that were lost.
    public internal(set) var lostNameCount = 0
}

extension CrashDisk {
    /// The process dies; the cache survives. Faults are taken away.
    public func kill() { state.withLock { $0.restart() } }

    /// The power fails: the folder is what the medium has, by rules 1 to 4. Faults are taken away.
    @discardableResult
    public func crash(using generator: inout some RandomNumberGenerator) -> PowerLoss {
        state.withLock { $0.losePower(using: &generator) }
    }

    /// Clean pages leave the cache, as at a reboot that was orderly.
    public func evict() {
        state.withLock { state in
            for (_, inode) in state.names { inode.evict() }
        }
    }

    /// The system writes some sectors and names back by itself.
    public func writeBack(using generator: inout some RandomNumberGenerator) {
        state.withLock { state in
            for (_, inode) in state.names {
                inode.writeBack { generator.next() & 1 == 0 }
            }
            if !state.changes.isEmpty {
                state.commitNames(upTo: Int.random(in: 0...state.changes.count, using: &generator))
            }
        }
    }

    /// Turns bits of a byte over, in the cache and on the medium.
    public func rot(_ name: String, at offset: Int, mask: UInt8) {
        state.withLock { $0.inode(name)?.rot(offset, mask: mask) }
    }
}

extension CrashDisk.State {
    func inode(_ name: String) -> Inode? { names.first { $0.name == name }?.inode }

    fileprivate mutating func losePower(
        using generator: inout some RandomNumberGenerator
    ) -> PowerLoss {
        var loss = PowerLoss()
        loseNames(&loss, using: &generator)
        for (_, inode) in mediumNames where !inode.isClean {
            loseContent(inode, &loss, using: &generator)
        }
        names = mediumNames
        for (_, inode) in names { inode.linkCount = 0 }
        for (name, inode) in names {
            inode.linkCount += 1
            inode.name = name
        }
        restart()
        return loss
    }

    private mutating func loseNames(
        _ loss: inout PowerLoss, using generator: inout some RandomNumberGenerator
    ) {
        if changes.isEmpty { return }
        let isJournal = generator.next() & 3 != 0
        let keptCount = Int.random(in: 0...changes.count, using: &generator)
        for (place, change) in changes.enumerated() {
            if isJournal ? place < keptCount : generator.next() & 1 == 0 {
                apply(change)
            } else {
                loss.lostNameCount += 1
            }
        }
        changes.removeAll()
        // Two names lost and kept by themselves can leave one file two names; a rename is one step.
        var known: [Inode] = []
        mediumNames = mediumNames.reversed().filter { entry in
            if known.contains(where: { $0 === entry.inode }) { return false }
            known.append(entry.inode)
            return true
        }.reversed()
    }

    private func loseContent(
        _ inode: Inode, _ loss: inout PowerLoss,
        using generator: inout some RandomNumberGenerator
    ) {
        // Of a file everything is kept, or dropped, or each sector has a fate of its own: kept,
        // dropped and trashed as likely as these bounds say.
        let style = generator.next() % 8
        let dropped = 32 + generator.next() % 160
        let trashed = generator.next() & 1 == 0 ? 0 : generator.next() % 64
        var isTorn = false
        let counts = withUnsafeMutablePointer(to: &generator) { dice in
            inode.losePower(
                fate: { _ in
                    if style == 0 { return .kept }
                    if style == 1 { return .dropped }
                    let value = dice.pointee.next() & 255
                    return value < trashed ? .trashed : value < trashed + dropped ? .dropped : .kept
                },
                length: { medium, cache in
                    if style == 0 { return cache }
                    if style == 1 { return medium }
                    switch dice.pointee.next() % 4 {
                    case 0: return medium
                    case 1: return cache
                    default:
                        isTorn = true
                        return Int.random(
                            in: min(medium, cache)...max(medium, cache), using: &dice.pointee)
                    }
                },
                garbage: { UInt8(truncatingIfNeeded: dice.pointee.next() >> 32) })
        }
        loss.keptCount += counts.kept
        loss.droppedCount += counts.dropped
        loss.trashedCount += counts.trashed
        if isTorn { loss.tornLengthCount += 1 }
    }
}

// What a test says and asks; none of it is a call of a process.
extension CrashDisk {
    /// Lays a fault in wait. Several may wait at once: the first that matches a call is taken.
    public func lay(_ fault: DiskFault) { state.withLock { $0.faults.append(fault) } }

    /// Takes away what has not struck.
    public func clearFaults() { state.withLock { $0.faults.removeAll() } }

    /// How many faults struck so far.
    public var firedCount: Int { state.withLock { $0.firedCount } }

    /// Whether the process died within a call (`DiskFault.Effect.death`).
    public var isDead: Bool { state.withLock { $0.isDead } }

    /// How many calls of a kind were made so far.
    public func count(of call: DiskCall) -> Int { state.withLock { $0.callCounts[call.place] } }

    /// How many calls were made so far; those that change something, if `changesOnly`.
    public func callCount(changesOnly: Bool = false) -> Int {
        state.withLock { state in
            DiskCall.allCases.reduce(0) {
                $0 + (changesOnly && !$1.isChange ? 0 : state.callCounts[$1.place])
            }
        }
    }

    /// Begins a record of the calls to come.
    public func startRecord() { state.withLock { $0.record = [] } }

    /// The calls since `startRecord`; no more are recorded.
    public func endRecord() -> [CallRecord] {
        state.withLock { state in
            defer { state.record = nil }
            return state.record ?? []
        }
    }

    /// The calls since `startRecord`.
    public var record: [CallRecord] { state.withLock { $0.record ?? [] } }

    /// Bytes that all files together may have; `Int.max` if there is no limit.
    public var spaceByteCount: Int {
        get { state.withLock { $0.spaceByteCount } }
        set { state.withLock { $0.spaceByteCount = newValue } }
    }

    /// Bytes that all files together have.
    public var usedByteCount: Int { state.withLock { $0.usedByteCount } }

    /// The names, without a call.
    public var fileNames: [String] { state.withLock { $0.names.map(\.name) } }

    /// A number that a file keeps under every name; nil if there is none.
    public func number(of name: String) -> Int? { state.withLock { $0.inode(name)?.number } }

    /// Takes all files away, durably.
    public func empty() {
        state.withLock { state in
            state.names.removeAll()
            state.mediumNames.removeAll()
            state.changes.removeAll()
            state.restart()
        }
    }

    /// A file as the cache has it; nil if there is none.
    public func bytes(of name: String) -> [UInt8]? { state.withLock { $0.inode(name)?.bytes } }

    /// A file's length in the cache; nil if there is none.
    public func byteCount(of name: String) -> Int? {
        state.withLock { $0.inode(name)?.bytes.count }
    }

    /// All files as the cache has them, in the order of their names.
    public var files: [(name: String, bytes: [UInt8])] {
        state.withLock { state in
            state.names.map { ($0.name, $0.inode.bytes) }.sorted { $0.0 < $1.0 }
        }
    }

    /// Puts a file there, or in the place of another, durably.
    public func put(_ bytes: [UInt8], as name: String) {
        state.withLock { state in
            state.drop(name)
            let inode = state.newInode(name)
            bytes.withUnsafeBytes { inode.write($0, at: 0) }
            inode.sync()
            inode.linkCount = 1
            state.names.append((name, inode))
            state.mediumNames.append((name, inode))
            state.usedByteCount += bytes.count
        }
    }

    /// Takes a file away, durably.
    public func discard(_ name: String) { state.withLock { $0.drop(name) } }

    /// The same folder again, to be used apart; nobody has a file open there. It shares no state.
    public func copy(seed: UInt64 = 0) -> CrashDisk {
        let other = CrashDisk(seed: seed)
        state.withLock { state in
            var copies: [(inode: Inode, copy: Inode)] = []
            func copy(of inode: Inode) -> Inode {
                if let known = copies.first(where: { $0.inode === inode }) { return known.copy }
                let copy = Inode(copyOf: inode)
                copies.append((inode, copy))
                return copy
            }
            let names = state.names.map { ($0.name, copy(of: $0.inode)) }
            let mediumNames = state.mediumNames.map { ($0.name, copy(of: $0.inode)) }
            let changes = state.changes.map { change -> NameChange in
                switch change {
                case .made(let name, let inode): .made(name, copy(of: inode))
                case .renamed(let name, let to, let inode):
                    .renamed(name, to: to, copy(of: inode))
                case .removed: change
                }
            }
            let (space, used) = (state.spaceByteCount, state.usedByteCount)
            let inodeCount = state.inodeCount
            other.state.withLock { state in
                (state.names, state.mediumNames, state.changes) = (names, mediumNames, changes)
                (state.spaceByteCount, state.usedByteCount) = (space, used)
                state.inodeCount = inodeCount
            }
        }
        return other
    }
}

extension CrashDisk.State {
    fileprivate mutating func drop(_ name: String) {
        guard let place = names.firstIndex(where: { $0.name == name }) else { return }
        commitNames(upTo: changes.count)
        unlink(names.remove(at: place).inode)
        mediumNames.removeAll { $0.name == name }
    }
}
