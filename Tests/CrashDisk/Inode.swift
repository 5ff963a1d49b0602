/// A file's content, as the cache has it and as far as the medium differs.
///
/// `bytes` is the cache. The medium has the same, but for the sectors in `dirty` (written since the
/// last sync) and in `stale` (the medium kept something else, and no sync will bring it): of these
/// the medium's content is kept. So a sync costs nothing but the forgetting of a few sectors.
// @unchecked: an inode is touched under its disk's mutex only.
final class Inode: @unchecked Sendable {
    static let sectorByteCount = 512

    /// A sector's content on the medium.
    struct Sector {
        let number: Int
        /// Where it starts in `saved`.
        let place: Int
    }

    /// Stays with the file under every name.
    let number: Int
    var name: String
    private(set) var bytes: [UInt8] = []
    /// The length on the medium.
    private(set) var mediumByteCount = 0
    private(set) var dirty: [Sector] = []
    private(set) var stale: [(number: Int, bytes: [UInt8])] = []
    private var saved: [UInt8] = []
    /// A bit a sector: whether it is in `dirty`.
    private var dirtyBits: [UInt64] = []
    /// How many names it has.
    var linkCount = 0

    init(name: String, number: Int) {
        self.name = name
        self.number = number
    }

    init(copyOf other: Inode) {
        number = other.number
        name = other.name
        bytes = other.bytes
        mediumByteCount = other.mediumByteCount
        dirty = other.dirty
        stale = other.stale
        saved = other.saved
        dirtyBits = other.dirtyBits
        linkCount = other.linkCount
    }

    var isClean: Bool {
        dirty.isEmpty && stale.isEmpty && mediumByteCount == bytes.count
    }

    private static func range(_ sector: Int) -> Range<Int> {
        sector * sectorByteCount..<(sector + 1) * sectorByteCount
    }

    // MARK: What a process does

    func read(_ target: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        guard offset < bytes.count else { return 0 }
        let count = min(target.count, bytes.count - offset)
        bytes.withUnsafeBytes { source in
            target.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: source[offset..<(offset + count)]))
        }
        return count
    }

    func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
        if source.isEmpty { return }
        let end = offset + source.count
        save(offset..<end)
        if offset == bytes.count {
            bytes.append(contentsOf: source)
            return
        }
        if bytes.count < end {
            bytes.append(contentsOf: repeatElement(0, count: end - bytes.count))
        }
        bytes.withUnsafeMutableBytes { target in
            UnsafeMutableRawBufferPointer(rebasing: target[offset..<end]).copyMemory(from: source)
        }
    }

    func truncate(to count: Int) {
        if count > bytes.count {
            save(bytes.count..<count)
            bytes.append(contentsOf: repeatElement(0, count: count - bytes.count))
        } else if count < bytes.count {
            save(count..<bytes.count)
            bytes.removeLast(bytes.count - count)
        }
    }

    /// Keeps what the medium has of the sectors that are about to change.
    private func save(_ range: Range<Int>) {
        let first = range.lowerBound / Inode.sectorByteCount
        let last = (range.upperBound - 1) / Inode.sectorByteCount
        while dirtyBits.count <= last >> 6 { dirtyBits.append(0) }
        for sector in first...last {
            let bit: UInt64 = 1 << UInt64(sector & 63)
            if dirtyBits[sector >> 6] & bit != 0 { continue }
            dirtyBits[sector >> 6] |= bit
            dirty.append(Sector(number: sector, place: saved.count))
            if let place = stale.firstIndex(where: { $0.number == sector }) {
                saved += stale.remove(at: place).bytes
            } else {
                append(cached: sector, to: &saved)
            }
        }
    }

    /// The sector as the cache has it, with zeros behind the end.
    private func append(cached sector: Int, to target: inout [UInt8]) {
        let range = Inode.range(sector).clamped(to: 0..<bytes.count)
        if !range.isEmpty { target.append(contentsOf: bytes[range]) }
        let missing = Inode.sectorByteCount - range.count
        if missing > 0 { target.append(contentsOf: repeatElement(0, count: missing)) }
    }

    private func cached(_ sector: Int) -> [UInt8] {
        var content: [UInt8] = []
        append(cached: sector, to: &content)
        return content
    }

    private func medium(_ sector: Sector) -> ArraySlice<UInt8> {
        saved[sector.place..<(sector.place + Inode.sectorByteCount)]
    }

    private func forgetDirty() {
        for sector in dirty {
            dirtyBits[sector.number >> 6] &= ~(1 << UInt64(sector.number & 63))
        }
        dirty.removeAll(keepingCapacity: true)
        saved.removeAll(keepingCapacity: true)
    }

    // MARK: What the system does

    /// The medium has what the cache has.
    func sync() {
        forgetDirty()
        mediumByteCount = bytes.count
    }

    /// A sync that failed: some sectors came through, the others are taken for clean.
    func failSync(_ isKept: (Int) -> Bool) {
        for sector in dirty where !isKept(sector.number) {
            stale.append((sector.number, Array(medium(sector))))
        }
        if isKept(-1) { mediumByteCount = bytes.count }
        forgetDirty()
    }

    /// A sync whose sectors go `shift` further on.
    func misdirectSync(by shift: Int) {
        let misplaced = dirty.map { ($0.number + shift, cached($0.number)) }
        failSync { $0 < 0 }
        let sectorCount = (bytes.count + Inode.sectorByteCount - 1) / Inode.sectorByteCount
        for (sector, content) in misplaced where sector >= 0 && sector < sectorCount {
            stale.removeAll { $0.number == sector }
            stale.append((sector, content))
        }
    }

    /// A write that the medium never gets.
    func loseWrite(_ source: UnsafeRawBufferPointer, at offset: Int) {
        write(source, at: offset)
        let first = offset / Inode.sectorByteCount
        let last = (offset + source.count - 1) / Inode.sectorByteCount
        for sector in dirty where (first...last).contains(sector.number) {
            stale.append((sector.number, Array(medium(sector))))
            dirtyBits[sector.number >> 6] &= ~(1 << UInt64(sector.number & 63))
        }
        dirty.removeAll { (first...last).contains($0.number) }
    }

    /// Some sectors reach the medium without being asked for.
    func writeBack(_ isTaken: () -> Bool) {
        if dirty.isEmpty { return }
        var isWhole = true
        dirty.removeAll { sector in
            guard isTaken() else {
                isWhole = false
                return false
            }
            dirtyBits[sector.number >> 6] &= ~(1 << UInt64(sector.number & 63))
            return true
        }
        if isWhole {
            saved.removeAll(keepingCapacity: true)
            mediumByteCount = bytes.count
        }
    }

    /// Clean pages leave the cache: what the medium kept shows.
    func evict() {
        for (sector, content) in stale { put(content[...], in: sector) }
        stale.removeAll()
    }

    /// Turns bits over, in the cache and on the medium.
    func rot(_ offset: Int, mask: UInt8) {
        guard offset < bytes.count else { return }
        bytes[offset] ^= mask
        let (sector, rest) = offset.quotientAndRemainder(dividingBy: Inode.sectorByteCount)
        for found in dirty where found.number == sector { saved[found.place + rest] ^= mask }
        for index in stale.indices where stale[index].number == sector {
            stale[index].bytes[rest] ^= mask
        }
    }

    private func put(_ content: ArraySlice<UInt8>, in sector: Int) {
        let range = Inode.range(sector).clamped(to: 0..<bytes.count)
        if range.isEmpty { return }
        bytes.replaceSubrange(range, with: content.prefix(range.count))
    }

    // MARK: Power loss

    /// What became of a sector that was not synced.
    enum Fate { case kept, dropped, trashed }

    /// The file as the medium has it; `fate` and `length` decide what was not synced.
    func losePower(
        fate: (Int) -> Fate, length: (_ medium: Int, _ cache: Int) -> Int, garbage: () -> UInt8
    ) -> (kept: Int, dropped: Int, trashed: Int) {
        var counts = (kept: 0, dropped: 0, trashed: 0)
        let end = bytes.count == mediumByteCount
            ? bytes.count : length(mediumByteCount, bytes.count)
        if end > bytes.count {
            bytes.append(contentsOf: repeatElement(0, count: end - bytes.count))
        }
        evict()
        for sector in dirty {
            switch fate(sector.number) {
            case .kept: counts.kept += 1
            case .dropped:
                counts.dropped += 1
                put(medium(sector), in: sector.number)
            case .trashed:
                counts.trashed += 1
                trash(sector, garbage)
            }
        }
        if end < bytes.count { bytes.removeLast(bytes.count - end) }
        forgetDirty()
        mediumByteCount = end
        return counts
    }

    /// Garbage in every byte that the write would have changed.
    private func trash(_ sector: Sector, _ garbage: () -> UInt8) {
        for offset in Inode.range(sector.number).clamped(to: 0..<bytes.count) {
            let old = saved[sector.place + offset % Inode.sectorByteCount]
            if bytes[offset] != old { bytes[offset] = garbage() }
        }
    }
}
