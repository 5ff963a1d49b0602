import CrashDisk
import DaybookLog
import DaybookSegments

/// What is wrong with the medium, and how it could be put right.
enum Wound {
    /// Bits that turned over. `number` names the file itself, under whatever name.
    case rot(file: String, number: Int, offset: Int, mask: UInt8)
    /// A write that was lost or misdirected will be, or has been, reported as success.
    /// It shows after a power loss.
    case lie(firedBefore: Int, isMisdirected: Bool, isShown: Bool = false)
    /// A segment is gone.
    case missing(file: String, bytes: [UInt8])
    /// A file is there that does not belong there.
    case extra(file: String)

    /// The file that ought to be named; nil where nobody can know.
    var file: String? {
        switch self {
        case .rot(let file, _, _, _), .extra(let file): file
        case .lie, .missing: nil
        }
    }
}

// Damage to the medium.
extension Simulation {
    static let headName = "HEAD"

    var segmentNames: [String] {
        disk.fileNames.filter { $0.hasSuffix(".avro.lz4") }.sorted()
    }

    /// Turns a bit over in a sealed segment while the log is open.
    func rotLive() {
        guard wound == nil else { return }
        let sealed = segmentNames.dropLast()
        guard !sealed.isEmpty else { return }
        tally.count(.rotSealed)
        rot(sealed[dice.below(sealed.count)])
    }

    /// A drive lies about one of the next writes to a segment.
    func lie() {
        guard wound == nil else { return }
        let isMisdirected = dice.once(in: 3)
        if isMisdirected {
            tally.count(.misdirection)
            let shift = 1 + dice.below(4)
            disk.lay(
                DiskFault(
                    .misdirected(sectors: dice.once(in: 2) ? shift : -shift), of: .sync,
                    file: ".lz4", after: dice.below(3)))
        } else {
            tally.count(.lie)
            disk.lay(DiskFault(.lost, of: .write, file: ".lz4", after: dice.below(3)))
        }
        wound = .lie(firedBefore: disk.firedCount, isMisdirected: isMisdirected)
        note("the drive will lie")
    }

    /// Something happens to the medium while nobody has the log open.
    func hurt() {
        guard wound == nil, model.entries.count > 2 else { return }
        let segments = segmentNames
        guard let last = segments.last else { return }
        switch dice.below(8) {
        case 0: rot(Simulation.headName)
            tally.count(.rotHead)
            headWitness = nil
        case 1 where segments.count > 1:
            rot(segments[dice.below(segments.count - 1)])
            tally.count(.rotSealed)
        case 2 where segments.count > 1:
            let name = segments[dice.below(segments.count - 1)]
            guard let bytes = disk.bytes(of: name) else { return }
            tally.count(.missing)
            disk.discard(name)
            wound = .missing(file: name, bytes: bytes)
            note("\(name) is gone")
        case 3: addSegment(copyOf: segments[dice.below(segments.count)])
        case 4: addForeign()
        default:
            rot(last)
            tally.count(.rotActive)
        }
    }

    private func rot(_ name: String) {
        guard let count = disk.byteCount(of: name), count > 0, let number = disk.number(of: name)
        else { return }
        // Rather near the end: there the most different things stand.
        let reach = dice.once(in: 2) ? count : min(count, 1200)
        let offset = count - 1 - dice.below(reach)
        let mask: UInt8 = 1 << UInt8(dice.below(8))
        disk.rot(name, at: offset, mask: mask)
        if name != Simulation.headName {
            wound = .rot(file: name, number: number, offset: offset, mask: mask)
        }
        note("rot in \(name) at \(offset) of \(count), bits \(mask)")
    }

    private func addSegment(copyOf name: String) {
        guard let bytes = disk.bytes(of: name) else { return }
        let file = SegmentNames.name(model.position + 1 + Position(dice.below(100)))
        tally.count(.duplicate)
        disk.put(bytes, as: file)
        wound = .extra(file: file)
        note("\(name) is there again as \(file)")
    }

    private func addForeign() {
        let other = CrashDisk()
        var options = SegmentLogOptions(schema: workload.schema, clock: { 1 })
        let surroundings = surroundings
        options.random = { surroundings.dice.next() }
        guard (try? SegmentLog(disk: other, options: options)) != nil,
            let bytes = other.bytes(of: SegmentNames.name(0))
        else { return }
        let file = SegmentNames.name(model.position + 7)
        tally.count(.foreign)
        disk.put(bytes, as: file)
        wound = .extra(file: file)
        note("a foreign segment is there as \(file)")
    }

    /// Puts the medium right; false if that cannot be done.
    func heal() -> Bool {
        defer { wound = nil }
        switch wound {
        case nil: return true
        case .rot(let file, let number, let offset, let mask):
            guard disk.number(of: file) == number else { return true }
            disk.rot(file, at: offset, mask: mask)
        case .missing(let file, let bytes): disk.put(bytes, as: file)
        case .extra(let file): disk.discard(file)
        case .lie: return false
        }
        tally.count(.healed)
        note("the medium is put right")
        return true
    }

    /// Forgets rot in bytes that are no longer there: what comes in their place is whole.
    func forgetCutWound() { if isWoundCut { wound = nil } }

    /// A start cut the rotten bytes off and then failed. A power loss may bring all of them back,
    /// or some, and then the medium cannot be put right any more: it shows as after a lie.
    func keepCutWound() {
        guard isWoundCut else { return }
        wound = .lie(firedBefore: disk.firedCount - 1, isMisdirected: false, isShown: true)
    }

    private var isWoundCut: Bool {
        guard case .rot(let file, let number, let offset, _) = wound else { return false }
        return disk.number(of: file) != number || disk.byteCount(of: file) ?? 0 <= offset
    }

    // MARK: Faults of calls

    func layFault() {
        tally.count(.faultLaid)
        if dice.once(in: 6) { disk.clearFaults() }
        let after = dice.once(in: 2) ? 0 : dice.below(12)
        let full = [ErrorNumber.noSpace, ErrorNumber.overQuota]
        let fault: DiskFault
        switch dice.below(12) {
        case 0: fault = DiskFault(.error(ErrorNumber.input), after: after)
        case 1: fault = DiskFault(.error(full[dice.below(2)]), of: .write, after: after)
        case 2: fault = DiskFault(.error(ErrorNumber.input), of: .write, after: after)
        case 3: fault = DiskFault(.short(1 + dice.below(300)), of: .write, after: after, times: 2)
        case 4: fault = DiskFault(.error(ErrorNumber.input), of: .sync, after: after)
        case 5: fault = DiskFault(.error(full[dice.below(2)]), of: .sync, after: after)
        case 6: fault = DiskFault(.error(ErrorNumber.interrupted), of: .sync, after: after)
        case 7:
            let call = DiskCall.allCases[dice.below(DiskCall.allCases.count)]
            fault = DiskFault(.error(ErrorNumber.input), of: call, after: after)
        case 8:
            fault = DiskFault(.error(ErrorNumber.noSpace), of: .write, after: after, times: 3)
        case 9:
            fault = DiskFault(.death(afterByteCount: dice.below(3000)), of: .write, after: after)
        case 10: fault = DiskFault(.death(afterByteCount: 0), of: .sync, after: after)
        default: fault = DiskFault(.death(afterByteCount: dice.below(2000)), after: after)
        }
        disk.lay(fault)
        note("fault \(fault.effect) of \(fault.call?.rawValue ?? "any") after \(fault.skipCount)")
    }

    func turnSpace() {
        if disk.spaceByteCount < .max {
            tally.count(.fullLifted)
            disk.spaceByteCount = .max
            note("space is back")
        } else {
            tally.count(.full)
            disk.spaceByteCount = disk.usedByteCount + dice.below(1500)
            note("the disk is full at \(disk.spaceByteCount)")
        }
    }

    func writeBack() {
        tally.count(.writeBack)
        disk.writeBack(using: &dice)
    }
}

enum SegmentNames {
    /// The name of the segment that begins at a position.
    static func name(_ position: Position) -> String {
        let digits = String(position)
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits + ".avro.lz4"
    }
}
