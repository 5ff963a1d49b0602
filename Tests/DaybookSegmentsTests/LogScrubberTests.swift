import DaybookLog
import Synchronization
import Testing

@testable import DaybookSegments

@Suite("The scrub of sealed segments")
struct LogScrubberTests {
    /// A clock that goes on only when somebody waits.
    private final class Clock: Sendable {
        let seconds = Mutex(0.0)

        func options(bytesPerSecond: UInt64 = 1 << 20) -> LogScrubber.Options {
            var options = LogScrubber.Options()
            options.bytesPerSecond = bytesPerSecond
            options.now = { [self] in seconds.withLock { $0 } }
            options.wait = { [self] wait in seconds.withLock { $0 += wait } }
            return options
        }
    }

    private final class Told: Sendable {
        let damage = Mutex<[Corruption]>([])

        var count: Int { damage.withLock { $0.count } }
    }

    private func log(_ blockCount: Int = 6) throws -> (disk: MemoryDisk, log: SegmentLog) {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        for number in 0..<blockCount {
            if number > 0, number.isMultiple(of: 2) { try log.roll(to: Sample.schema) }
            try Sample.append(log)
        }
        return (disk, log)
    }

    private func scrubber(
        _ log: SegmentLog, _ clock: Clock, _ told: Told, bytesPerSecond: UInt64 = 1 << 20
    ) -> LogScrubber {
        LogScrubber(log, options: clock.options(bytesPerSecond: bytesPerSecond)) { damage in
            told.damage.withLock { $0.append(damage) }
        }
    }

    @Test("A sound log is read to the end of every sealed segment, at the rate that is allowed")
    func rate() throws {
        let (disk, log) = try log()
        let clock = Clock()
        let told = Told()
        let scrubber = scrubber(log, clock, told, bytesPerSecond: 100)
        #expect(scrubber.report.lastPassAgeSeconds == nil)
        scrubber.runPass()
        let sealed = disk.files.filter { $0.key.hasSuffix(".avro.lz4") }.sorted { $0.key < $1.key }
            .dropLast().reduce(0) { $0 + $1.value.count }
        let report = scrubber.report
        #expect(report.byteCount == UInt64(sealed) && report.passCount == 1)
        #expect(report.damage == [] && told.count == 0)
        let seconds = clock.seconds.withLock { $0 }
        #expect(abs(seconds - Double(sealed) / 100) < 0.001, "\(seconds) s for \(sealed) bytes")
        clock.seconds.withLock { $0 += 7 }
        #expect(scrubber.report.lastPassAgeSeconds == 7)
    }

    @Test("Fault 12: every changed byte of a sealed segment is found, told once, and stays shown")
    func everyByte() throws {
        let (disk, log) = try log(4)
        let name = Sample.firstSegment
        let whole = try #require(disk.files[name])
        let clock = Clock()
        for place in whole.indices {
            let told = Told()
            let scrubber = scrubber(log, clock, told)
            disk.files[name]?[place] ^= UInt8(1 << (place % 8))
            scrubber.runPass()
            scrubber.runPass()
            disk.files[name] = whole
            let report = scrubber.report
            let damage = try #require(report.damage.first, "byte \(place) was missed")
            #expect(report.damage.count == 1 && told.count == 1)
            #expect(damage.file == name && damage.offset <= UInt64(place))
            #expect(damage.position <= 6)
        }
        #expect(whole.count > 1000)
    }

    @Test("Damage does not keep the log from appending, nor other blocks from being read")
    func goesOn() throws {
        let (disk, log) = try log()
        try log.close()
        let again = try Sample.open(disk)
        let name = SegmentFile.name(basePosition: 6)
        let bytes = try #require(disk.files[name])
        let block = try #require(bytes.firstRange(of: Array("DAYBKBLK".utf8))).lowerBound - 8
        disk.files[name]?[block + 240] ^= 4
        let told = Told()
        let scrubber = scrubber(again, Clock(), told)
        scrubber.runPass()
        #expect(
            scrubber.report.damage.map { [$0.offset, UInt64($0.position)] } == [[UInt64(block), 6]])
        try Sample.append(again)
        #expect(try Sample.values(again, from: 9) == Array(9..<21))
        #expect(throws: LogError.self) { try again.blocks(from: 6, byteLimit: 1) }
    }

    @Test("A read that failed once is shown until a whole pass found the place sound")
    func transient() throws {
        let (disk, log) = try log()
        let told = Told()
        let scrubber = scrubber(log, Clock(), told)
        let name = SegmentFile.name(basePosition: 6)
        disk.refuse { $0.name == "open" && $0.file == name ? 5 : nil }
        scrubber.runPass()
        disk.refuse(nil)
        #expect(scrubber.report.damage.map(\.file) == [name])
        #expect(scrubber.report.damage[0].what.contains("errno 5"))
        scrubber.runPass()
        #expect(scrubber.report.damage == [] && told.count == 1)
    }

    @Test("What opening found is shown from the start, and no longer once it is sound")
    func foundByOpening() throws {
        let (disk, log) = try log()
        try log.close()
        let name = SegmentFile.name(basePosition: 6)
        let whole = try #require(disk.files[name])
        disk.files[name] = Array(whole.dropLast(300))
        let again = try Sample.open(disk)
        #expect(again.recovery.damage.count == 1)
        let told = Told()
        let scrubber = scrubber(again, Clock(), told)
        #expect(scrubber.report.damage == again.recovery.damage)
        scrubber.runPass()
        #expect(scrubber.report.damage.count == 1 && told.count == 0, "it was told at the start")
        disk.files[name] = whole
        scrubber.runPass()
        #expect(scrubber.report.damage == [])
    }

    @Test("A segment that is gone, or is another one, is damage")
    func goneOrForeign() throws {
        let (disk, log) = try log()
        let (stranger, _) = try self.log()
        let name = SegmentFile.name(basePosition: 6)
        let whole = disk.files[name]
        for other in [nil, stranger.files[name]] {
            disk.files[name] = other
            let told = Told()
            let scrubber = scrubber(log, Clock(), told)
            scrubber.runPass()
            #expect(scrubber.report.damage.map(\.file) == [name] && told.count == 1)
            disk.files[name] = whole
        }
    }

    @Test("It reads beside the writer, and ends when it is told to")
    func thread() throws {
        let (_, log) = try log()
        var options = LogScrubber.Options()
        options.passSeconds = 0
        let scrubber = LogScrubber(log, options: options) { _ in }
        scrubber.start()
        for _ in 0..<200 where scrubber.report.passCount < 3 {
            try Sample.append(log)
            if log.durable.position.isMultiple(of: 30) { try log.roll(to: Sample.schema) }
            _ = log.waitForEvents(from: log.durable.position, timeoutSeconds: 0.02)
        }
        scrubber.stop()
        let report = scrubber.report
        #expect(report.passCount >= 3 && report.damage == [])
        scrubber.stop()
    }
}
