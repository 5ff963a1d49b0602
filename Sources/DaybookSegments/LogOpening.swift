import DaybookLog
import Glibc

/// What opening hands to the log.
struct OpenedLog {
    var segments: [ReadableSegment]
    let active: SegmentFile
    let file: any DiskFile
    var offset: UInt64
    var state: ChainState
    var isAttested: Bool
    var contents: SegmentContents
    /// Higher than any before.
    var epoch: UInt64
    var report: RecoveryReport
    /// The active segment has its footer, and there was no space for the next.
    var isSealed = false
}

/// Opens a folder of segments: finds the end, judges it by the recovery table, and makes durable
/// what is about to be served. Nothing is changed before the table has decided.
struct LogOpening {
    let disk: any LogDisk
    let options: SegmentLogOptions
    private var report = RecoveryReport()

    init(disk: any LogDisk, options: SegmentLogOptions) {
        self.disk = disk
        self.options = options
    }

    mutating func run() throws(LogError) -> OpenedLog {
        do {
            let names = try disk.names()
            try RepairJournal.refuse(names)
            let witness = try HeadFile.read(disk: disk)?.head.ledger
            let found = try SegmentSearch(
                names: names, disk: disk, witness: witness, known: options.schema)
            if let fault = found.fault { throw fault }
            guard let last = found.files.last else { return try create(names: names) }
            var chain = SegmentChain(disk: disk, damage: found.damage)
            let sealed = try chain.readable(Array(found.files.dropLast()), before: last.header)
            if let mismatch = chain.mismatch { throw LogError.corrupt(mismatch) }
            report.damage = chain.damage
            var opened = try openLast(last, sealed: sealed)
            try chain.sealUnsealed()
            opened.report.kept = try TornBytes.kept(on: disk, asked: report.cut)
            return opened
        } catch let error as DiskError {
            throw LogError(error)
        } catch let error as LogError {
            throw error
        } catch {
            preconditionFailure("opening throws disk and log errors only: \(error)")
        }
    }

    /// A new ledger: one segment without blocks.
    private func create(names: [String]) throws -> OpenedLog {
        if names.contains(HeadFile.name), let head = try HeadFile.read(disk: disk)?.head,
            head.position > 0
        {
            throw LogError.corrupt(
                Corruption(
                    file: SegmentFile.name(basePosition: 0), offset: 0, position: 0,
                    what: "no segment is there, and the head file knows \(head.position) events"))
        }
        let header = SegmentHeader(
            ledger: options.ledger ?? .random(options.random), segment: 0, basePosition: 0,
            firstBlock: 0, epoch: 1,
            lastReceivedAt: 0, createdAt: options.clock(), frontier: MerkleFrontier(),
            random: options.random)
        let (segment, file) = try SegmentFile.create(header, schema: options.schema, on: disk)
        let readable = ReadableSegment(
            file: segment, contents: SegmentContents(), endPosition: 0,
            endOffset: segment.blocksOffset)
        return OpenedLog(
            segments: [readable], active: segment, file: file, offset: segment.blocksOffset,
            state: ChainState(segment.header), isAttested: true, contents: SegmentContents(),
            epoch: 1, report: report)
    }

    private mutating func openLast(
        _ last: SegmentFile, sealed: [ReadableSegment]
    ) throws -> OpenedLog {
        let file = try disk.open(last.name, .readWrite)
        let tail = try SegmentTail(last, file: file)
        let byteCount = try file.byteCount()
        let hasRest = byteCount > tail.scanner.offset
        var evidence = options.evidence
        if hasRest { evidence += try tail.evidenceInRest(file: file, byteCount: byteCount) }
        let answer = try gather(&evidence, of: last, hasRest: hasRest)
        let bases = sealed.map { ($0.file.header.basePosition, $0.file.header.frontier.root) }
        let findings = tail.judge(
            evidence, bases: Dictionary(uniqueKeysWithValues: bases), hasInvalidRest: hasRest)
        let decided = RecoveryTable.decide(findings)
        switch decided.decision {
        case .open: break
        case .cutTornTail:
            try cut(last, file: file, from: tail.scanner.offset, to: byteCount, asked: answer)
        case .haltCorrupt, .haltForked:
            throw LogError.corrupt(
                Corruption(
                    file: last.name, offset: tail.scanner.offset,
                    position: tail.scanner.state.position,
                    what: "\(tail.faultText ?? "the log ends here"), but \(decided.label)"))
        }
        try removeTemporaryFiles()
        try rewrite(file, from: tail.scanner.attestedOffset, to: tail.scanner.offset)
        return try finish(tail, file: file, sealed: sealed)
    }

    /// Adds the head file's and Postgres's evidence; whether Postgres answered.
    private func gather(
        _ evidence: inout [Evidence], of last: SegmentFile, hasRest: Bool
    ) throws -> Bool {
        if let record = try HeadFile.read(disk: disk) {
            try check(record.head.ledger, is: last.header.ledger, of: "the head file")
            evidence.append(
                Evidence(
                    source: .headFile, position: record.head.position, root: record.head.root))
            if let kept = record.checkpoint {
                evidence.append(
                    Evidence(source: .keptCheckpoint, position: kept.position, root: kept.root))
            }
        }
        guard hasRest, let asked = options.askCheckpoint?() else { return false }
        try check(asked.ledger, is: last.header.ledger, of: "the checkpoint in Postgres")
        evidence.append(
            Evidence(source: .checkpoint, position: asked.position, root: asked.root))
        return true
    }

    private func check(
        _ found: LedgerID, is ledger: LedgerID, of witness: String
    ) throws {
        if found == ledger { return }
        throw LogError.corrupt(
            Corruption(
                file: HeadFile.name, offset: 0, position: 0,
                what: "\(witness) is of ledger \(found), the segments are of \(ledger)"))
    }

    /// Removes segments that were never finished: they never held an event.
    private func removeTemporaryFiles() throws {
        let suffix = SegmentFile.suffix + SegmentFile.temporarySuffix
        for name in try disk.names() where name.hasSuffix(suffix) { try disk.remove(name) }
    }

    /// Copies a torn tail aside, and only then cuts it off.
    private mutating func cut(
        _ segment: SegmentFile, file: any DiskFile, from offset: UInt64, to end: UInt64,
        asked: Bool
    ) throws {
        let name = try TornBytes.cut(offset..<end, of: segment.name, file: file, on: disk)
        report.cut = RecoveryReport.Cut(
            segment: segment.name, offset: offset, byteCount: end - offset, keptAs: name,
            askedPostgres: asked)
    }

    /// Writes again what may only be in the page cache, unchanged, and syncs it.
    private mutating func rewrite(
        _ file: any DiskFile, from offset: UInt64, to end: UInt64
    ) throws {
        try FileCopy.run(from: file, range: offset..<end, to: file, at: offset)
        try file.sync()
        try disk.syncFolder()
        report.rewrittenByteCount = end - offset
    }

    /// Nil if there is no space: reading needs none, and the next append makes the segment or says
    /// that there still is none.
    private func makeSegment(
        _ header: SegmentHeader, schema: LogSchema
    ) throws(DiskError) -> (SegmentFile, any DiskFile)? {
        do { return try SegmentFile.create(header, schema: schema, on: disk) } catch {
            if LogError(error).isDiskFull { return nil }
            throw error
        }
    }

    private func finish(
        _ tail: SegmentTail, file: any DiskFile, sealed: [ReadableSegment]
    ) throws -> OpenedLog {
        let scanner = tail.scanner
        let readable = ReadableSegment(
            file: scanner.segment, contents: tail.contents,
            endPosition: scanner.state.position, endOffset: scanner.offset)
        let epoch = scanner.state.epoch + 1
        var opened = OpenedLog(
            segments: sealed + [readable], active: scanner.segment, file: file,
            offset: scanner.offset, state: scanner.state,
            isAttested: scanner.attestedPosition == scanner.state.position,
            contents: tail.contents, epoch: epoch, report: report)
        if scanner.footer == nil { return opened }
        // Sealed, and the process ended before the next segment was there.
        let state = scanner.state
        let header = SegmentHeader(
            ledger: state.ledger, segment: state.segment + 1, basePosition: state.position,
            firstBlock: state.nextBlock, epoch: epoch, lastReceivedAt: state.lastReceivedAt,
            createdAt: options.clock(), frontier: state.frontier, random: options.random)
        guard let (segment, next) = try makeSegment(header, schema: scanner.segment.schema) else {
            opened.isSealed = true
            return opened
        }
        opened.segments.append(
            ReadableSegment(
                file: segment, contents: SegmentContents(), endPosition: state.position,
                endOffset: segment.blocksOffset))
        return OpenedLog(
            segments: opened.segments, active: segment, file: next,
            offset: segment.blocksOffset, state: ChainState(segment.header), isAttested: true,
            contents: SegmentContents(), epoch: epoch, report: report)
    }
}

/// Takes bytes off the end of a segment, and keeps them.
enum TornBytes {
    private static let infix = ".torn-"

    /// Copies the range aside, and only then cuts it off; the name of the copy.
    ///
    /// A copy that could not be made whole is taken away again: every start would leave another.
    static func cut(
        _ range: Range<UInt64>, of segment: String, file: any DiskFile, on disk: any LogDisk
    ) throws(DiskError) -> String {
        let names = try disk.names()
        let first = segment + infix + String(range.lowerBound)
        var name = first
        var number = 1
        while names.contains(name) {
            number += 1
            name = "\(first)-\(number)"
        }
        let copy = try disk.open(name, .create)
        do {
            try FileCopy.run(from: file, range: range, to: copy, at: 0)
            try copy.sync()
            try disk.syncFolder()
        } catch {
            try? disk.remove(name)
            throw error
        }
        try file.truncate(to: range.lowerBound)
        try file.sync()
        return name
    }

    /// Every copy that the folder has. Of `cut` it is known more than the name says.
    static func kept(
        on disk: any LogDisk, asked cut: RecoveryReport.Cut?
    ) throws(DiskError) -> [RecoveryReport.Cut] {
        var found: [RecoveryReport.Cut] = []
        for name in try disk.names().sorted() {
            guard let mark = name.firstRange(of: infix),
                let offset = UInt64(name[mark.upperBound...].prefix(while: { $0 != "-" }))
            else { continue }
            if let cut, cut.keptAs == name {
                found.append(cut)
                continue
            }
            found.append(
                RecoveryReport.Cut(
                    segment: String(name[..<mark.lowerBound]), offset: offset,
                    byteCount: try disk.open(name, .read).byteCount(), keptAs: name,
                    askedPostgres: nil))
        }
        return found
    }
}

/// Copies a range of bytes between files, in pieces.
enum FileCopy {
    static func run(
        from source: any DiskFile, range: Range<UInt64>, to target: any DiskFile, at start: UInt64
    ) throws(DiskError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let wanted = min(buffer.count, Int(range.upperBound - offset))
            let count = try source.read(
                UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: offset)
            guard count == wanted else {
                throw DiskError(call: "pread", file: "a segment", code: EIO)
            }
            try target.writeAll(
                UnsafeRawBufferPointer(rebasing: buffer[..<count]),
                at: start + (offset - range.lowerBound))
            offset += UInt64(count)
        }
    }
}
