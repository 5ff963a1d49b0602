import DaybookLog
import Synchronization

/// What a verification saw.
public struct LogVerification: Sendable, Equatable {
    /// Something that is not as it must be.
    public struct Problem: Sendable, Equatable {
        /// The file, by its name in the log's folder.
        public let segment: String
        /// In bytes, from the segment's start.
        public let offset: UInt64
        /// The first position that is in doubt.
        public let position: Position
        /// What contradicts what, in words.
        public let what: String
    }

    /// Segments, those that could not be opened included.
    public var segmentCount = 0
    /// Blocks that hold up.
    public var blockCount: UInt64 = 0
    /// Batches in those blocks, each a leaf whose digest was made again.
    public var batchCount: UInt64 = 0
    /// Events in those blocks.
    public var eventCount: Int64 = 0
    /// Bytes of all segments whose headers could be read.
    public var byteCount: UInt64 = 0
    /// The state that all blocks lead to.
    public var head: TreeHead?
    /// All that was found, segment by segment; empty for a sound log.
    public var problems: [Problem] = []
    /// Bytes at the end that belong to no whole block and that nothing knows to have been durable:
    /// a write under way, or a torn tail.
    public var unfinishedByteCount: UInt64 = 0

    /// What became of each anchor, the smallest tree first.
    public var anchors: [AnchorFinding] = []

    /// The position up to which the log is as it was when the last anchor that holds was made:
    /// nothing below it was changed since. 0 without such an anchor; never above a problem, for
    /// what cannot be read was not compared.
    public var anchoredPosition: Position {
        let anchored = anchors.last { $0.outcome == .holds }?.head.position ?? 0
        return problems.reduce(anchored) { min($0, $1.position) }
    }

    /// Whether nothing is wrong; an unfinished end is nothing wrong.
    public var isSound: Bool { problems.isEmpty }
}

/// Reads every byte of a log and checks all that FORMAT.md says: checksums, places, positions,
/// times, counts, schema and tree.
///
/// Segments are read by several threads, each with one block in memory; what is found is said in
/// the order of the log, and is the same for any number of threads.
public struct LogVerifier: Sendable {
    private let disk: any LogDisk
    private let anchors: [TreeHead]
    private let record: HeadRecord?
    private let names: [String]

    /// Verifies the log of a data directory. `progress` is told the bytes done and all bytes, on
    /// the caller's thread, several times a second.
    ///
    /// - Parameter anchors: states that the log is known to have had, to be held against it. Whose
    ///   they are, and who signed them, is the caller's to know.
    /// - Parameter jobs: how many threads read; nil for as many as the machine has cores.
    /// - Throws: `.notALedger`, or what the system refused. Damage is no error but a problem.
    public static func run(
        folder: String, anchors: [TreeHead] = [], jobs: Int? = nil,
        progress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws(LogError) -> LogVerification {
        try run(
            disk: SystemDisk(existingFolder: folder + "/log"), anchors: anchors, jobs: jobs,
            progress: progress)
    }

    /// Verifies the log on any disk.
    public static func run(
        disk: any LogDisk, anchors: [TreeHead] = [], jobs: Int? = nil,
        progress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws(LogError) -> LogVerification {
        try run(disk: disk, anchors: anchors, jobs: jobs, schema: nil, progress: progress)
    }

    /// - Parameter schema: the schema that the first segment probably has.
    static func run(
        disk: any LogDisk, anchors: [TreeHead] = [], jobs: Int? = nil, schema: LogSchema?,
        progress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws(LogError) -> LogVerification {
        do {
            let verifier = try LogVerifier(disk: disk, anchors: anchors)
            let threadCount = max(1, min(jobs ?? WorkerThread.coreCount, verifier.names.count))
            return verifier.result(
                of: try verifier.checks(threadCount, schema: schema, progress))
        } catch let error as DiskError {
            if error.call == "opendir" { throw .notALedger(error.file) }
            throw LogError(error)
        } catch let error as LogError {
            throw error
        } catch {
            preconditionFailure("verifying throws disk and log errors only: \(error)")
        }
    }

    private init(disk: any LogDisk, anchors: [TreeHead]) throws {
        self.disk = disk
        try RepairJournal.refuse(try disk.names())
        self.anchors = anchors
        // The head file first: what it knows is in what is read after it.
        record = try HeadFile.read(disk: disk)
        names = try disk.names().filter { SegmentFile.basePosition(name: $0) != nil }.sorted()
        if names.isEmpty { throw LogError.notALedger("log") }
    }

    /// What the threads share.
    private struct Work: Sendable {
        var next = 0
        var checks: [SegmentCheck?]
        /// Bytes of each segment that are read, and of all.
        var read: [UInt64]
        var readByteCount: UInt64 = 0
        /// A schema to compare with, so that it need not be made again for each segment.
        var schema: LogSchema?
        var runningCount: Int
        /// By the segment where it was met: the first in the log's order is thrown.
        var errors: [Int: any Error] = [:]

        mutating func note(_ byteCount: UInt64, of number: Int) {
            if byteCount <= read[number] { return }
            readByteCount += byteCount - read[number]
            read[number] = byteCount
        }
    }

    private func checks(
        _ threadCount: Int, schema: LogSchema?, _ progress: (UInt64, UInt64) -> Void
    ) throws -> [SegmentCheck] {
        var sizes: [UInt64] = []
        for name in names { sizes.append(try disk.open(name, .read).byteCount()) }
        let total = sizes.reduce(0, +)
        let work = SharedWork(
            Work(
                checks: Array(repeating: nil, count: names.count),
                read: Array(repeating: 0, count: names.count), schema: schema,
                runningCount: threadCount))
        if threadCount == 1 {
            self.work(on: work, sizes: sizes) { progress($0, total) }
        } else {
            let threads = (0..<threadCount).map { _ in
                WorkerThread { [self, sizes] in self.work(on: work, sizes: sizes) { _ in } }
            }
            while !work.ended(withinSeconds: 0.1) { progress(work.readByteCount, total) }
            for thread in threads { thread.join() }
            progress(work.readByteCount, total)
        }
        return try work.checks()
    }

    /// Checks one segment after the other until there are no more.
    private func work(
        on work: SharedWork, sizes: [UInt64], _ progress: (UInt64) -> Void
    ) {
        while let (number, schema) = work.take(of: names.count) {
            do {
                let check = try SegmentCheck(
                    names[number], on: disk, schema: schema, isLast: number == names.count - 1,
                    anchors: AnchorComparison(anchors), known: AnchorComparison(knownHeads)
                ) { byteCount in
                    work.note(min(byteCount, sizes[number]), of: number)
                    progress(work.readByteCount)
                }
                work.finish(check, number, byteCount: sizes[number])
            } catch {
                work.fail(error, number)
            }
            progress(work.readByteCount)
        }
        work.end()
    }

    /// What the head file says of the log, and of the projectors.
    private var knownHeads: [TreeHead] {
        record.map { [$0.head] + ($0.checkpoint.map { [$0] } ?? []) } ?? []
    }

    /// Puts together what was found in each segment, and how they follow each other.
    private func result(of checks: [SegmentCheck]) -> LogVerification {
        var result = LogVerification()
        var anchors = AnchorComparison(self.anchors)
        var known = AnchorComparison(knownHeads)
        var previous: SegmentCheck?
        for (number, check) in checks.enumerated() {
            result.segmentCount += 1
            result.byteCount += check.byteCount
            if let problem = check.problem(after: previous, number: UInt64(number)) {
                result.problems.append(problem)
            }
            result.problems += check.problems
            result.blockCount += check.blockCount
            if let header = check.header, let end = check.end {
                result.batchCount += end.frontier.size - header.frontier.size
                result.eventCount += end.position - header.basePosition
            }
            result.unfinishedByteCount = check.unfinishedByteCount
            anchors.merge(check.anchors)
            known.merge(check.known)
            previous = check
        }
        let last = checks[checks.count - 1]
        result.head = last.end?.head
        result.problems += headFileProblems(known, last: last, found: result.problems)
        result.anchors = anchors.findings
        result.problems += anchors.problems(lastSegment: last.name)
        return result
    }

    private func headFileProblems(
        _ known: AnchorComparison, last: SegmentCheck, found: [LogVerification.Problem]
    ) -> [LogVerification.Problem] {
        guard let end = last.end else { return [] }
        var problems: [LogVerification.Problem] = []
        for finding in known.findings {
            switch finding.outcome {
            case .holds: break
            case .contradicted(let segment, let offset):
                problems.append(
                    LogVerification.Problem(
                        segment: segment, offset: offset, position: finding.head.position,
                        what: "the head file knows another root of \(finding.head.size) batches"))
            case .notReached where finding.head.position > end.position:
                if found.contains(where: { $0.segment == last.name }) { break }
                problems.append(
                    LogVerification.Problem(
                        segment: last.name, offset: last.endOffset, position: end.position,
                        what: "the head file knows events up to \(finding.head.position)"))
            case .notReached:
                if !found.isEmpty { break }
                problems.append(
                    LogVerification.Problem(
                        segment: last.name, offset: 0, position: finding.head.position,
                        what: "the head file knows another tree, of \(finding.head.size) batches"))
            }
        }
        return Array(problems.prefix(1))
    }

    /// The threads' work under one lock, and a place to wait for its end.
    private final class SharedWork: Sendable {
        private let state: Mutex<Work>
        private let signal = Signal()

        init(_ work: Work) { state = Mutex(work) }

        func take(of count: Int) -> (Int, LogSchema?)? {
            state.withLock { work in
                guard work.next < count, work.errors.isEmpty else { return nil }
                work.next += 1
                return (work.next - 1, work.schema)
            }
        }

        func note(_ byteCount: UInt64, of number: Int) {
            state.withLock { $0.note(byteCount, of: number) }
        }

        func finish(_ check: SegmentCheck, _ number: Int, byteCount: UInt64) {
            state.withLock { work in
                work.checks[number] = check
                work.note(byteCount, of: number)
                work.schema = check.schema ?? work.schema
            }
        }

        func fail(_ error: any Error, _ number: Int) {
            state.withLock { $0.errors[number] = error }
        }

        func end() {
            state.withLock { $0.runningCount -= 1 }
            signal.wakeAll()
        }

        func ended(withinSeconds seconds: Double) -> Bool {
            signal.wait(timeoutSeconds: seconds) { state.withLock { $0.runningCount == 0 } }
        }

        var readByteCount: UInt64 { state.withLock { $0.readByteCount } }

        func checks() throws -> [SegmentCheck] {
            try state.withLock { work in
                if let first = work.errors.min(by: { $0.key < $1.key }) { throw first.value }
                return work.checks.compactMap(\.self)
            }
        }
    }
}
