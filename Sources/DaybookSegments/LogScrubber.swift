import DaybookLog
import Synchronization

/// Reads the sealed segments of a log again and again, slowly, and checks them as `LogVerifier`
/// does, so that rot is found while there is still another copy to put back.
///
/// One thread of low priority, one segment after the other, at a bounded rate. It changes nothing:
/// damage is told once and shown until a whole pass has found that place sound again. What it
/// compares with is the chain of the log as it was opened: a segment must end where the header of
/// the next one, held in memory, begins.
public final class LogScrubber: Sendable {
    /// How fast, how often, and by what clock.
    public struct Options: Sendable {
        /// Bytes a second that are read at most.
        public var bytesPerSecond: UInt64
        /// Seconds from the beginning of a pass over all segments to that of the next, at least.
        public var passSeconds: Double
        /// Seconds since any moment, never going back.
        public var now: @Sendable () -> Double
        /// Waits so many seconds; nil to wait by the system's clock, and wake when told to stop.
        public var wait: (@Sendable (Double) -> Void)?

        /// 8 MiB a second, and a pass an hour where that is time enough for one.
        public init() {
            bytesPerSecond = 8 << 20
            passSeconds = 3600
            let start = ContinuousClock.now
            now = { (ContinuousClock.now - start) / .seconds(1) }
            wait = nil
        }
    }

    /// What the scrubbing came to so far.
    public struct Report: Sendable, Equatable {
        /// Ranges that cannot be read, in order of position: those that opening found, until a pass
        /// finds otherwise, and those that were found since.
        public var damage: [Corruption]
        /// Bytes read.
        public var byteCount: UInt64 = 0
        /// Passes over all sealed segments.
        public var passCount: UInt64 = 0
        /// Seconds since the last pass ended; nil before the first did.
        public var lastPassAgeSeconds: Double?
    }

    private struct State: Sendable {
        var shown: [Corruption]
        var byteCount: UInt64 = 0
        var passCount: UInt64 = 0
        var passEnd: Double?
        var isStopping = false
        var thread: WorkerThread?
    }

    /// Between two passes at least: a log without sealed segments is no reason to spin.
    private static let restSeconds = 0.1
    private let log: SegmentLog
    private let options: Options
    private let onDamage: @Sendable (Corruption) -> Void
    private let state: Mutex<State>
    private let signal = Signal()

    /// Nothing is read before `start`.
    ///
    /// - Parameter onDamage: told of each damaged place once, on the scrubber's thread.
    public init(
        _ log: SegmentLog, options: Options, onDamage: @escaping @Sendable (Corruption) -> Void
    ) {
        precondition(options.bytesPerSecond > 0, "a rate is more than nothing")
        self.log = log
        self.options = options
        self.onDamage = onDamage
        state = Mutex(State(shown: log.recovery.damage))
    }

    /// What was found so far.
    public var report: Report {
        let now = options.now()
        return state.withLock { state in
            Report(
                damage: state.shown, byteCount: state.byteCount, passCount: state.passCount,
                lastPassAgeSeconds: state.passEnd.map { now - $0 })
        }
    }

    /// Begins to read. Called once.
    public func start() {
        let thread = WorkerThread(niceness: 19) { [self] in
            while !isStopping {
                let start = options.now()
                runPass()
                pause(max(LogScrubber.restSeconds, start + options.passSeconds - options.now()))
            }
        }
        state.withLock { $0.thread = thread }
    }

    /// Ends the reading, after the block that is being checked. Blocks.
    public func stop() {
        let thread = state.withLock { state in
            state.isStopping = true
            return state.thread.take()
        }
        signal.wakeAll()
        thread?.join()
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Checks every segment that is sealed now, once.
    func runPass() {
        let segments = log.currentView.segments
        var found: [Corruption] = []
        for (segment, next) in zip(segments, segments.dropFirst()) {
            guard let verdict = check(segment.file, next: next.file.header) else { return }
            guard case .damaged(let damage) = verdict else { continue }
            found.append(damage)
            let isKnown = state.withLock { state in
                let isShown = state.shown.contains {
                    $0.file == damage.file && $0.offset == damage.offset
                }
                if isShown { return true }
                state.shown.append(damage)
                state.shown.sort { $0.position < $1.position }
                return false
            }
            if !isKnown { onDamage(damage) }
        }
        // A whole pass: what it did not find is not there any more, or never was.
        let now = options.now()
        state.withLock { state in
            state.shown = found
            state.passCount += 1
            state.passEnd = now
        }
    }

    private enum Verdict {
        case sound
        case damaged(Corruption)
    }

    /// Checks one segment; nil if it was told to stop meanwhile.
    private func check(_ segment: SegmentFile, next: SegmentHeader) -> Verdict? {
        let base = segment.header.basePosition
        func damaged(_ offset: UInt64, _ position: Position, _ what: String) -> Verdict {
            .damaged(
                Corruption(file: segment.name, offset: offset, position: position, what: what))
        }
        let (now, file): (SegmentFile, any DiskFile)
        do {
            try log.files.open(segment.name, .read).dropCache()
            (now, file) = try SegmentFile.open(
                segment.name, on: log.files, known: segment.schema)
        } catch {
            let words = HeaderlessSegment.words(error)
            return damaged(
                0, base, segment.isHeaderLost ? HeaderlessSegment.served(words) : words)
        }
        // Of one that was made up only the place is known.
        let isSame =
            segment.isHeaderLost
            ? now.header.head == segment.header.head : now.header == segment.header
        if !isSame {
            return damaged(0, base, "its header is not the one that the log was opened with")
        }
        // The disk is to be checked, not memory; and what is read here once is of no use to others.
        defer { file.dropCache() }
        var scanner = SegmentScanner(now, file: file)
        var contents = SegmentContents()
        var pace = Pace(start: options.now(), done: 0)
        do throws(SegmentFault) {
            while let found = try scanner.next() {
                contents.add(found.header, entries: found.entries)
                if !keep(&pace, to: scanner.offset) { return nil }
            }
        } catch {
            let isAllThere = scanner.state.head == next.head
            return damaged(
                scanner.offset, scanner.state.position,
                FaultText.of(error)
                    + (isAllThere ? "; no event is lost, the next start mends it" : ""))
        }
        if !keep(&pace, to: scanner.offset) { return nil }
        let end = scanner.state
        guard end.head == next.head, end.nextBlock == next.firstBlock,
            end.lastReceivedAt == next.lastReceivedAt
        else {
            return damaged(
                scanner.offset, end.position, "it ends before segment \(next.segment) begins")
        }
        if let footer = scanner.footer,
            footer != contents.footer(of: now, offset: footer.offset, head: end.head)
        {
            return damaged(
                footer.offset, end.position, "the footer counts otherwise than the blocks")
        }
        return .sound
    }

    /// How far the reading of a segment is, and since when.
    private struct Pace {
        let start: Double
        var done: UInt64
    }

    /// Counts what was read, and waits until the rate allows more; false when told to stop.
    private func keep(_ pace: inout Pace, to offset: UInt64) -> Bool {
        state.withLock { $0.byteCount += offset - pace.done }
        pace.done = offset
        let due = pace.start + Double(offset) / Double(options.bytesPerSecond)
        pause(due - options.now())
        return !isStopping
    }

    private func pause(_ seconds: Double) {
        if seconds <= 0 { return }
        if let wait = options.wait { return wait(seconds) }
        _ = signal.wait(timeoutSeconds: seconds) { isStopping }
    }
}
