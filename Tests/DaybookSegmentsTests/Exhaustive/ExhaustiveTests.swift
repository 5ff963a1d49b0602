import DaybookLog
import Synchronization
import TestSupport
import Testing

@testable import DaybookSegments

/// A small log, damaged in every way once. Each case is opened, read beside, and verified, and must
/// end in one of two verdicts; the numbers are asserted, so that none is left out unseen.
///
/// Nothing is random: the log's ids and salts come from a seed, so that the numbers are the same.
@Suite("Every damage to a small log")
struct ExhaustiveTests {
    /// Counts verdicts, and keeps the first cases that had none.
    private struct Census {
        var counts: [Verdict: Int] = [:]
        var faultCount = 0

        mutating func judge(
            _ log: SmallLog, _ label: String, _ files: [String: [UInt8]], isBrief: Bool = false
        ) {
            do {
                let judgement = Judgement(log, files, isBrief: isBrief)
                counts[try judgement.verdict(), default: 0] += 1
            } catch {
                faultCount += 1
                if faultCount <= 5 { Issue.record("\(log.ending), \(label): \(error)") }
            }
        }

        func expect(_ expected: [Verdict: Int]?) {
            #expect(faultCount == 0, "a third verdict")
            #expect(counts == expected)
        }
    }

    private static func damage(_ ending: SmallLog.Ending) throws -> Damage {
        Damage(log: try SmallLog(ending), stranger: try SmallLog(ending, seed: 2))
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
        damage.cuts(tailOnly: ending != .closed) { census.judge(damage.log, $0, $1) }
        let expected: [SmallLog.Ending: [Verdict: Int]] = [
            .closed: [.whole: 943, .halted: 2929, .degraded: 1007],
            .killed: [.whole: 644, .halted: 1007],
            .powerLost: [.whole: 644, .halted: 602, .unattested: 405],
        ]
        census.expect(expected[ending])
    }

    /// All are opened and read; one of the eight bits of a byte is read beside and verified too.
    /// `DAYBOOK_EXHAUSTIVE=1` does so with all eight.
    @Test("Every bit flipped, of a log closed in good order", arguments: 0..<4)
    func flips(_ part: Int) throws {
        var census = Census()
        let damage = try Self.damage(.closed)
        damage.flips(part: part, of: 4, tailOnly: false) { label, isFirst, files in
            census.judge(damage.log, label, files, isBrief: !isFirst)
        }
        let expected: [[Verdict: Int]] = [
            [.whole: 2098, .halted: 3999, .degraded: 3663],
            [.whole: 2096, .halted: 4000, .degraded: 3664],
            [.whole: 2104, .halted: 3996, .degraded: 3660],
            [.whole: 2088, .halted: 4000, .degraded: 3664],
        ]
        census.expect(expected[part])
    }

    @Test(
        "Every bit flipped, of a last block that nothing attests",
        arguments: [SmallLog.Ending.killed, .powerLost])
    func flipsOfTheTail(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.flips(part: 0, of: 1, tailOnly: true) { label, isFirst, files in
            census.judge(damage.log, label, files, isBrief: !isFirst)
        }
        census.expect(ending == .killed ? [.halted: 2408] : [.unattested: 2408])
    }

    @Test("Sectors of 512 bytes zeroed, each and any two", arguments: SmallLog.Ending.allCases)
    func sectors(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.zeroedSectors { census.judge(damage.log, $0, $1) }
        let expected: [SmallLog.Ending: [Verdict: Int]] = [
            .closed: [.whole: 5, .halted: 23, .degraded: 5],
            .killed: [.whole: 4, .halted: 19, .degraded: 5],
            .powerLost: [.whole: 4, .halted: 19, .degraded: 5],
        ]
        census.expect(expected[ending])
    }

    @Test("Any two blocks swapped", arguments: SmallLog.Ending.allCases)
    func blocks(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.swappedBlocks { census.judge(damage.log, $0, $1) }
        let expected: [SmallLog.Ending: [Verdict: Int]] = [
            .closed: [.halted: 3, .degraded: 3, .haltedAndDegraded: 9],
            .killed: [.halted: 3, .degraded: 3, .haltedAndDegraded: 9],
            .powerLost: [.halted: 3, .degraded: 3, .haltedAndDegraded: 6, .unattested: 3],
        ]
        census.expect(expected[ending])
    }

    @Test(
        "Files lost, there twice, under another name, swapped, of another ledger",
        arguments: SmallLog.Ending.allCases)
    func segments(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.segments { census.judge(damage.log, $0, $1) }
        // The head file alone may be lost.
        census.expect([.whole: 1, .halted: 118])
    }

    @Test(
        "Blocks written to a wrong place, also or only there",
        arguments: SmallLog.Ending.allCases)
    func misdirected(_ ending: SmallLog.Ending) throws {
        var census = Census()
        let damage = try Self.damage(ending)
        damage.misdirectedBlocks { census.judge(damage.log, $0, $1) }
        let expected: [SmallLog.Ending: [Verdict: Int]] = [
            .closed: [.whole: 72, .halted: 105, .degraded: 84, .haltedAndDegraded: 39],
            .killed: [.whole: 60, .halted: 99, .degraded: 78, .haltedAndDegraded: 39],
            .powerLost: [
                .whole: 60, .halted: 70, .degraded: 78, .haltedAndDegraded: 24, .unattested: 44,
            ],
        ]
        census.expect(expected[ending])
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
        census.expect([.whole: 69])
    }
}
