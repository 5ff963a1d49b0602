import CrashDisk
import DaybookLog
import Testing

@testable import DaybookSegments

/// A disk, the log that is open on it, and what was acknowledged.
final class CallWorld {
    let disk: CrashDisk
    var log: SegmentLog?
    /// Appends that returned, and appends that were tried, in rows.
    var acknowledged = 0
    var tried = 0
    private let segmentByteCount: UInt64

    init(segmentByteCount: UInt64 = 1 << 20) {
        disk = CrashDisk()
        self.segmentByteCount = segmentByteCount
    }

    func open() throws(LogError) {
        log = try Sample.open(disk, segmentByteCount: segmentByteCount)
    }

    func append() throws(LogError) {
        guard let log else { throw .closed }
        tried = max(tried, Int(log.durable.position) + 3)
        try Sample.append(log)
        acknowledged = Int(log.durable.position)
    }

    /// The process dies.
    func kill() {
        disk.kill()
        log = nil
    }
}

/// Something that the log does, each of whose calls is to fail once.
struct CallScenario: Sendable, CustomTestStringConvertible {
    let name: String
    /// Makes what is there before; the log is left open if `run` goes on with it.
    let prepare: @Sendable (CallWorld) throws -> Void
    let run: @Sendable (CallWorld) throws(LogError) -> Void
    var segmentByteCount: UInt64 = 1 << 20
    /// Whether what `prepare` left ends in a torn tail, so that a cut is right.
    var isTorn = false

    var testDescription: String { name }

    static let all: [CallScenario] = running + starting

    /// What a running log does.
    static let running = [
        CallScenario(
            name: "an append",
            prepare: { world in
                try world.open()
                try world.append()
            },
            run: { world throws(LogError) in try world.append() }),
        CallScenario(
            name: "a roll",
            prepare: { world in
                try world.open()
                try world.append()
            },
            run: { world throws(LogError) in try world.append() }, segmentByteCount: 1),
        CallScenario(
            name: "a seal",
            prepare: { world in
                try world.open()
                try world.append()
                try world.append()
            },
            run: { world throws(LogError) in try world.log?.roll(to: Sample.schema) }),
        CallScenario(
            name: "a roll of a segment without blocks",
            prepare: { world in
                try world.open()
                try world.append()
                try world.log?.roll(to: Sample.schema)
            },
            run: { world throws(LogError) in try world.log?.roll(to: Sample.schema) }),
        CallScenario(
            name: "an attestation",
            prepare: { world in
                try world.open()
                try world.append()
            },
            run: { world throws(LogError) in try world.log?.attest() }),
        CallScenario(
            name: "a close",
            prepare: { world in
                try world.open()
                try world.append()
            },
            run: { world throws(LogError) in try world.log?.close() }),
    ]

    /// What a start does.
    static let starting = [
        CallScenario(
            name: "an open of a new ledger", prepare: { _ in },
            run: { world throws(LogError) in try world.open() }),
        CallScenario(
            name: "an open after a clean stop",
            prepare: { world in
                try world.open()
                try world.append()
                try world.log?.close()
                world.kill()
            },
            run: { world throws(LogError) in try world.open() }),
        CallScenario(
            name: "an open that writes an unattested block again",
            prepare: { world in
                try world.open()
                try world.append()
                try world.append()
                world.kill()
            },
            run: { world throws(LogError) in try world.open() }),
        CallScenario(
            name: "an open that cuts a torn tail",
            prepare: { world in
                try world.open()
                try world.append()
                try world.append()
                world.disk.lay(DiskFault(.death(afterByteCount: 200), of: .write))
                world.tried += 3
                #expect(throws: LogError.self) { try world.append() }
                world.kill()
            },
            run: { world throws(LogError) in try world.open() }, isTorn: true),
        CallScenario(
            name: "an open that writes a missing footer",
            prepare: { world in
                try world.open()
                try world.append()
                world.disk.lay(DiskFault(.error(ErrorNumber.noSpace), of: .write))
                try world.append()
                try world.append()
                world.kill()
            },
            run: { world throws(LogError) in try world.open() }, segmentByteCount: 1),
        CallScenario(
            name: "an open that cuts off a bad footer",
            prepare: { world in
                try world.open()
                try world.append()
                try world.append()
                try world.log?.close()
                world.kill()
                let name = Sample.firstSegment
                let count = try #require(world.disk.byteCount(of: name))
                world.disk.rot(name, at: count - 20, mask: 1)
            },
            run: { world throws(LogError) in try world.open() }, segmentByteCount: 1),
        CallScenario(
            name: "an open that begins the segment after a sealed one",
            prepare: { world in
                try world.open()
                try world.append()
                world.disk.lay(DiskFault(.error(ErrorNumber.input), of: .rename))
                #expect(throws: LogError.self) { try world.append() }
                world.kill()
            },
            run: { world throws(LogError) in try world.open() }, segmentByteCount: 1),
    ]
}
