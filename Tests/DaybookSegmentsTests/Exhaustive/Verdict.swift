import DaybookLog
import Testing

@testable import DaybookSegments

/// What becomes of a log after damage. There is no third verdict: everything else is a fault.
enum Verdict: String, CaseIterable, Comparable {
    /// It opens with every acknowledged event, each as it was written.
    case whole = "a: whole"
    /// It does not open, says where, and all below that place can be read. Nothing was changed.
    case halted = "b: halted"
    /// It opens without some blocks of a sealed segment, or without its header; says where, and all
    /// others can be read.
    case degraded = "b: degraded"
    /// Both, where two places were damaged: each says where it is.
    case haltedAndDegraded = "b: halted, an older block lost too"
    /// It opens without the last block, which nothing attested: the one exemption.
    case unattested = "exempt: unattested last block"

    static func < (one: Verdict, other: Verdict) -> Bool { one.rawValue < other.rawValue }
}

/// A third verdict.
struct VerdictFault: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Opens, reads and verifies damaged files, and compares what comes with the log as it was.
struct Judgement {
    let log: SmallLog
    let files: [String: [UInt8]]
    /// Whether it is only opened, and read as the log itself.
    private let isBrief: Bool
    private let disk: MemoryDisk

    init(_ log: SmallLog, _ files: [String: [UInt8]], isBrief: Bool = false) {
        self.isBrief = isBrief
        self.log = log
        self.files = files
        disk = MemoryDisk(files: files)
    }

    /// - Throws: `VerdictFault` if it is neither of the two verdicts.
    func verdict() throws -> Verdict {
        let reader = isBrief ? nil : read()
        let verification = isBrief ? nil : try verify()
        try require(disk.files == files, "looking changed the disk")
        let verdict: Verdict
        switch open() {
        case .success(let opened):
            verdict = try judge(opened, reader)
        case .failure(.corrupt(let corruption)):
            verdict = try judge(corruption, reader)
        case .failure(let error):
            throw VerdictFault("it did not open: \(error)")
        }
        if !isBrief { try judge(verification, verdict) }
        return verdict
    }

    private func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
        if !condition { throw VerdictFault(what()) }
    }

    // MARK: The three ways to look

    private func open() -> Result<SegmentLog, LogError> {
        Result { () throws(LogError) in try Sample.open(disk) }
    }

    private func read() -> Result<LogReader, LogError> {
        Result { () throws(LogError) in try LogReader(disk: disk, known: Sample.schema) }
    }

    private func verify() throws -> LogVerification? {
        let found = Result { () throws(LogError) in
            try LogVerifier.run(disk: disk, jobs: 1, schema: Sample.schema)
        }
        // Without any segment there is nothing to verify.
        if case .failure(.notALedger) = found, !hasSegments { return nil }
        return try found.get()
    }

    private var hasSegments: Bool {
        files.keys.contains { SegmentFile.basePosition(name: $0) != nil }
    }

    // MARK: Verdicts

    private func judge(
        _ opened: SegmentLog, _ reader: Result<LogReader, LogError>?
    ) throws -> Verdict {
        let end = opened.durable.position
        let isShort = end == log.lastBlock.positions.lowerBound
        let mayBeShort = log.isLastBlockExempt && isDamaged(log.lastBlock)
        try require(
            end == log.end || isShort && mayBeShort, "it opened with \(end) of \(log.end) events")
        let lost = try unreadable(below: end) { position throws(LogError) in
            try opened.blocks(from: position, byteLimit: 1)
        }
        if let reader {
            let alsoLost = try read(reader, upTo: end)
            try require(lost == alsoLost, "a reader reads other blocks than the log: \(alsoLost)")
            try judgeAppend(opened, end)
        }
        for place in lost {
            try require(log.blocks[place].segment == log.sealed, "the active segment has a hole")
            try require(isDamaged(log.blocks[place]), "block \(place) is whole and cannot be read")
        }
        if end < log.end { return .unattested }
        if lost.isEmpty, opened.recovery.damage.isEmpty { return .whole }
        try require(
            opened.recovery.damage.allSatisfy { $0.file == log.sealed }, "another file is blamed")
        return .degraded
    }

    /// What a reader sees of a log that opens; the blocks that it cannot read.
    private func read(
        _ reader: Result<LogReader, LogError>, upTo end: Position
    ) throws -> [Int] {
        guard case .success(let reader) = reader else {
            throw VerdictFault("it opens, and a reader does not: \(reader)")
        }
        try require(
            reader.corruption == nil, "it opens, and a reader says \(reader.corruption as Any)")
        let shown = reader.durable.position
        // What only the head file vouches for is not shown where the head file is gone or behind.
        let mayBeShort = log.ending != .closed && shown == log.lastBlock.positions.lowerBound
        try require(shown == end || mayBeShort, "a reader shows \(shown) of \(end) events")
        return try unreadable(below: shown) { position throws(LogError) in
            try reader.blocks(from: position, byteLimit: 1)
        }
    }

    /// The blocks that are said to be damaged. All others must come as they were.
    private func unreadable(
        below end: Position, _ read: (Position) throws(LogError) -> [DurableBlock]
    ) throws -> [Int] {
        var lost: [Int] = []
        for (place, block) in log.blocks.enumerated() where block.positions.upperBound <= end {
            let first = block.positions.lowerBound
            switch Result(catching: { () throws(LogError) in try read(first) }) {
            case .success(let found):
                try require(isEqual(found.first, to: block), "block \(place) holds something else")
            case .failure(.corrupt(let corruption)):
                try require(
                    corruption.file == block.segment && corruption.position <= first,
                    "block \(place): \(corruption)")
                lost.append(place)
            case .failure(let error): throw VerdictFault("block \(place): \(error)")
            }
        }
        return lost
    }

    private func isEqual(_ found: DurableBlock?, to block: SmallLog.Block) -> Bool {
        guard let found else { return false }
        return found.firstPosition == block.positions.lowerBound
            && found.endPosition == block.positions.upperBound
            && found.content.withUnsafeBytes(
                in: 0..<found.content.count, { $0.elementsEqual(block.content) })
    }

    /// It goes on: what is appended now is there after the next start.
    private func judgeAppend(_ opened: SegmentLog, _ end: Position) throws {
        let block = try Sample.append(opened)
        try require(block.firstPosition == end, "it went on elsewhere")
        try require(
            try opened.blocks(from: end, byteLimit: 1).first === block, "it was not kept")
    }

    private func judge(
        _ corruption: Corruption, _ reader: Result<LogReader, LogError>?
    ) throws -> Verdict {
        try require(disk.files == files, "it did not open, and changed something")
        let names = [HeadFile.name] + log.segments
        try require(
            names.contains(corruption.file) || files[corruption.file] != nil,
            "\(corruption.file) is no file of the log")
        let length = max(
            files[corruption.file]?.count ?? 0, log.files[corruption.file]?.count ?? 0)
        try require(corruption.offset <= UInt64(length), "offset \(corruption.offset)")
        try require(corruption.position <= log.end, "position \(corruption.position)")
        let readable = log.blocks.filter { $0.positions.upperBound <= corruption.position }
        switch reader {
        case nil: return .halted
        case .failure(let error):
            guard case .corrupt(let other) = error else { throw VerdictFault("reading: \(error)") }
            try require(readable.isEmpty && other.position == 0, "nothing below can be read")
            return .halted
        case .success(let reader):
            guard let said = reader.corruption, said.position <= corruption.position else {
                throw VerdictFault("a reader does not say so: \(corruption)")
            }
            let shown = reader.durable.position
            try require(shown >= said.position, "a reader shows \(shown)")
            var lost = try unreadable(below: shown) { position throws(LogError) in
                try reader.blocks(from: position, byteLimit: 1)
            }
            if shown < readable.last?.positions.upperBound ?? 0 {
                lost += log.blocks.indices.filter { log.blocks[$0].positions.lowerBound == shown }
            }
            for place in lost {
                let block = log.blocks[place]
                try require(isDamaged(block), "block \(place) is whole and cannot be read")
                try require(block.segment == log.sealed, "block \(place) is not where it says")
            }
            let atEnd = Result { () throws(LogError) in
                try reader.blocks(from: shown, byteLimit: 1)
            }
            guard case .failure(.corrupt) = atEnd else {
                throw VerdictFault("a reader takes it for the end")
            }
            return lost.isEmpty ? .halted : .haltedAndDegraded
        }
    }

    // MARK: Verification

    /// Sound if and only if nothing was damaged that counts.
    private func judge(_ verification: LogVerification?, _ verdict: Verdict) throws {
        guard let verification else {
            return try require(verdict == .halted, "no segment, and it opened")
        }
        let expected =
            switch verdict {
            case .halted, .degraded, .haltedAndDegraded: false
            case .whole, .unattested: closedSegmentIsValid
            }
        try require(
            verification.isSound == expected, "\(verdict), verified: \(verification.problems)")
        if verdict == .degraded || verdict == .haltedAndDegraded {
            try require(
                verification.problems.contains { $0.segment == log.sealed }, "not the sealed one")
        }
    }

    /// A closed segment may lack its footer, or anything else that follows its last block; it may
    /// have nothing that is no frame. LZ4 ignores some bits: in the frame of the Avro header, whose
    /// content has a digest, these change nothing.
    private var closedSegmentIsValid: Bool {
        guard let before = log.files[log.sealed], let now = files[log.sealed] else { return false }
        if before == now { return true }
        let blocks = log.frames[log.sealed]?.first ?? 0
        if before.count == now.count, before[blocks...] == now[blocks...] { return true }
        let isPrefix = before.starts(with: now)
        return isPrefix && log.frames[log.sealed]?.last { $0 < before.count } == now.count
    }

    private func isDamaged(_ block: SmallLog.Block) -> Bool {
        guard let now = files[block.segment], let before = log.files[block.segment],
            now.count >= block.bytes.upperBound
        else { return true }
        return now[block.bytes] != before[block.bytes]
    }
}
