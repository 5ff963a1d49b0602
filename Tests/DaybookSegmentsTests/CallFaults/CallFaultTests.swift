import CrashDisk
import DaybookLog
import TestSupport
import Testing

@testable import DaybookSegments

/// Every call that the log makes of its disk fails once, in every way that it can. Nothing that was
/// acknowledged is lost, the error says which call of which file, and the log goes on: in the
/// process if it says that it can, after a restart, and after a power loss.
@Suite("The k-th call fails")
struct CallFaultTests {
    /// Power losses tried after each failure.
    private static let lossCount = 3

    private static func effects(of call: DiskCall) -> [DiskFault.Effect] {
        switch call {
        case .write:
            [ErrorNumber.input, ErrorNumber.noSpace, ErrorNumber.overQuota].map { .error($0) }
                + [.short(1), .short(100)]
        // A signal can interrupt a sync only: all other calls are made again by the real disk.
        case .sync, .syncFolder:
            [ErrorNumber.input, ErrorNumber.noSpace, ErrorNumber.overQuota].map { .error($0) }
                + [.error(ErrorNumber.interrupted)]
        case .open, .rename:
            [.error(ErrorNumber.input), .error(ErrorNumber.noSpace)]
        default: [.error(ErrorNumber.input)]
        }
    }

    @Test("Every call of", arguments: CallScenario.all)
    func everyCall(_ scenario: CallScenario) throws {
        let calls = try calls(of: scenario)
        #expect(!calls.isEmpty)
        var failed: Set<DiskCall> = []
        for (number, call) in calls.enumerated() {
            for effect in Self.effects(of: call.call) {
                let label =
                    "\(scenario.name), call \(number) (\(call.call) of \(call.file)): \(effect)"
                do {
                    try check(scenario, number, call, effect, label)
                } catch {
                    Issue.record("\(label): \(error)")
                }
                failed.insert(call.call)
            }
        }
        // Whatever it is, it reads or writes and would notice if a kind of call were left out.
        #expect(failed == Set(calls.map(\.call)))
    }

    private func calls(of scenario: CallScenario) throws -> [CallRecord] {
        let world = CallWorld(segmentByteCount: scenario.segmentByteCount)
        try scenario.prepare(world)
        world.disk.clearFaults()
        world.disk.startRecord()
        try scenario.run(world)
        return world.disk.record
    }

    private func check(
        _ scenario: CallScenario, _ number: Int, _ call: CallRecord, _ effect: DiskFault.Effect,
        _ label: String
    ) throws {
        let world = CallWorld(segmentByteCount: scenario.segmentByteCount)
        try scenario.prepare(world)
        world.disk.clearFaults()
        let before = world.disk.files.map(\.name)
        world.disk.startRecord()
        world.disk.lay(DiskFault(effect, after: number))
        let result = Result { () throws(LogError) in try scenario.run(world) }
        #expect(world.disk.firedCount > 0, "\(label): never came")
        if case .failure(let error) = result { checkError(error, call, effect, label) }
        if !call.call.isChange, !scenario.isTorn {
            let torn = world.disk.files.map(\.name).filter {
                $0.contains(".torn-") && !before.contains($0)
            }
            let isMending = scenario.name.contains("bad footer")
            #expect(torn.isEmpty || isMending, "\(label): a read that failed led to a cut")
        }
        try checkPowerLoss(of: world, label)
        try checkRestart(of: world.disk.copy(), world, label)
        try checkGoingOn(world, after: result, label)
        try checkPowerLoss(of: world, label + ", gone on")
        try checkRestart(of: world.disk, world, label + ", gone on")
    }

    /// It names the file and the call, and is no corruption.
    private func checkError(
        _ error: LogError, _ call: CallRecord, _ effect: DiskFault.Effect, _ label: String
    ) {
        guard case .error(let code) = effect else {
            Issue.record("\(label): a short transfer is no error, but \(error)")
            return
        }
        switch error {
        case .system(let name, let file, let found):
            #expect(name == call.call.rawValue && found == code, "\(label): \(error)")
            #expect(!file.isEmpty || call.file.isEmpty, "\(label): \(error)")
        case .diskFull(let file):
            let isSpace = code == ErrorNumber.noSpace || code == ErrorNumber.overQuota
            #expect(isSpace && !file.isEmpty, "\(label): \(error)")
        case .syncFailed(_, let found):
            let isSync = call.call == .sync || call.call == .syncFolder || call.call == .truncate
            #expect(isSync && found == code, "\(label): \(error)")
        default: Issue.record("\(label): \(error)")
        }
    }

    /// The same process goes on, if the log does not say that it has ended. After a failed sync
    /// nothing more may be written.
    private func checkGoingOn(
        _ world: CallWorld, after result: Result<Void, LogError>, _ label: String
    ) throws {
        if world.log == nil {
            // A start that failed is tried again.
            world.kill()
            try world.open()
            try world.append()
            return
        }
        if case .failure(.syncFailed) = result {
            let calls = world.disk.record.count
            #expect(throws: LogError.closed, "\(label)") { try world.append() }
            #expect(throws: LogError.closed, "\(label)") { try world.log?.attest() }
            #expect(throws: LogError.closed, "\(label)") {
                try world.log?.roll(to: Sample.schema)
            }
            try? world.log?.close()
            let later = world.disk.record.dropFirst(calls).filter { $0.call.isChange }
            #expect(later == [], "\(label): something was done after a failed sync")
            return
        }
        let appended = Result { () throws(LogError) in try world.append() }
        if case .failure(.closed) = appended { return }
        try appended.get()
        try world.append()
    }

    /// Everything acknowledged is there in order, nothing that was never tried, and it goes on.
    private func checkRestart(
        of disk: CrashDisk, _ world: CallWorld, _ label: String, verifies: Bool = true
    ) throws {
        disk.kill()
        let log = try Sample.open(disk)
        let values = try Sample.values(log)
        #expect(values == Array(0..<Int64(values.count)), "\(label)")
        #expect(
            values.count >= world.acknowledged && values.count <= world.tried,
            "\(label): \(values.count) of \(world.acknowledged) to \(world.tried)")
        try Sample.append(log)
        try log.close()
        if !verifies { return }
        #expect(try LogVerifier.run(disk: disk, jobs: 1).problems == [], "\(label)")
    }

    private func checkPowerLoss(of world: CallWorld, _ label: String) throws {
        var generator = SeededGenerator(seed: UInt64(world.disk.record.count))
        for number in 0..<Self.lossCount {
            let copy = world.disk.copy(seed: UInt64(number))
            _ = copy.crash(using: &generator)
            try checkRestart(
                of: copy, world, "\(label), power loss \(number)", verifies: number == 0)
        }
    }
}
