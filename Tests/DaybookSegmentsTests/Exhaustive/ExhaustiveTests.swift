import DaybookLog
import Synchronization
import TestSupport
import Testing

@testable import DaybookSegments

/// A small log, damaged in every way once. Each case is opened, read beside, and verified, and must
/// end in one of two verdicts; the numbers are asserted, so that none is left out unseen.
@Suite("Every damage to a small log")
struct ExhaustiveTests {
    /// Counts verdicts, and keeps the first cases that had none.
    private struct Census {
        var counts: [Verdict: Int] = [:]
        var caseCount = 0
        var faultCount = 0

        mutating func judge(_ log: SmallLog, _ label: String, _ files: [String: [UInt8]]) {
            caseCount += 1
            do {
                counts[try Judgement(log, files).verdict(), default: 0] += 1
            } catch {
                faultCount += 1
                if faultCount <= 5 { Issue.record("\(log.ending), \(label): \(error)") }
            }
        }

        func expect(_ expected: [Verdict: Int]) {
            #expect(faultCount == 0, "a third verdict")
            #expect(counts == expected)
        }
    }

    private static func damage(_ ending: SmallLog.Ending) throws -> Damage {
        Damage(log: try SmallLog(ending), stranger: try SmallLog(ending))
    }

    @Test("Undamaged, it is whole", arguments: SmallLog.Ending.allCases)
    func sound(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let log = try SmallLog(ending)
        census.judge(log, "as it was", log.files)
        census.expect([.whole: 1])
    }

    @Test("Cut at every byte", arguments: SmallLog.Ending.allCases)
    func cuts(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.cuts { census.judge(damage.log, $0, $1) }
        census.expect([:])
    }

    @Test("Every bit flipped", arguments: [0, 1])
    func flips(_ part: Int) throws {
        var census = Census()
        let damage = try Self.damage(.closed)
        damage.flips(part: part, of: 2) { census.judge(damage.log, $0, $1) }
        census.expect([:])
    }

    @Test("Sectors of 512 bytes zeroed, each and any two", arguments: SmallLog.Ending.allCases)
    func sectors(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.zeroedSectors { census.judge(damage.log, $0, $1) }
        census.expect([:])
    }

    @Test("Any two blocks swapped", arguments: SmallLog.Ending.allCases)
    func blocks(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.swappedBlocks { census.judge(damage.log, $0, $1) }
        census.expect([:])
    }

    @Test(
        "Files lost, there twice, under another name, swapped, of another ledger",
        arguments: SmallLog.Ending.allCases)
    func segments(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.segments { census.judge(damage.log, $0, $1) }
        census.expect([:])
    }

    @Test(
        "Blocks written to a wrong place, also or only there",
        arguments: SmallLog.Ending.allCases)
    func misdirected(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.misdirectedBlocks { census.judge(damage.log, $0, $1) }
        census.expect([:])
    }

    @Test(
        "Zeros, noise and old frames behind the end of a file",
        arguments: SmallLog.Ending.allCases)
    func growth(_ ending: SmallLog.Ending) throws {
        var census = Census()
        var generator = SeededGenerator()
        let damage = try Self.damage(ending)
        let seed = generator.seed
        damage.growth(&generator) { census.judge(damage.log, "\($0) (seed \(seed))", $1) }
        census.expect([:])
    }
}
