import DaybookCatalog
import DaybookLog
import TestSupport
import Testing

@testable import DaybookBackup

@Suite("Which backups are kept") struct BackupRetentionTests {
    private typealias Candidate = BackupRetention.Candidate

    /// A row of the table: a place, the rule, and what may go.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// `name time`, in the order of their positions.
        let backups: [String]
        let keep: (newest: Int, days: Int, weeks: Int)
        var proven: Set<String> = []
        let gone: [String]

        init(
            _ description: String, _ backups: [String], _ keep: (Int, Int, Int),
            proven: Set<String> = [], gone: [String]
        ) {
            testDescription = description
            self.backups = backups
            self.keep = keep
            self.proven = proven
            self.gone = gone
        }
    }

    static let hours = ["a 2026-11-25T09:00:00", "b 2026-11-25T10:00:00", "c 2026-11-25T11:00:00"]
    static let days = [
        "a 2026-11-22T23:59:59", "b 2026-11-23T00:00:00", "c 2026-11-23T23:59:59",
        "d 2026-11-25T08:00:00", "e 2026-11-25T09:00:00",
    ]
    /// Week 53 of 2026 has its Monday on 28 December and its Sunday on 3 January.
    static let weeks = [
        "a 2026-12-20T12:00:00", "b 2026-12-21T00:00:00", "c 2026-12-27T23:59:59",
        "d 2026-12-28T00:00:00", "e 2027-01-03T23:59:59", "f 2027-01-04T00:00:00",
    ]

    static let cases = [
        Case("no backups", [], (1, 7, 4), gone: []),
        Case("fewer than are kept", hours, (4, 0, 0), gone: []),
        Case("as many as are kept", hours, (3, 0, 0), gone: []),
        Case("the newest, oldest first to go", hours, (1, 0, 0), gone: ["a", "b"]),
        Case("the newest proven one stays", hours, (1, 0, 0), proven: ["a"], gone: ["b"]),
        Case(
            "of the proven only the newest stays", hours, (1, 0, 0), proven: ["a", "b"],
            gone: ["a"]),
        Case("the newest is the proven one", hours, (1, 0, 0), proven: ["c"], gone: ["a", "b"]),
        Case("a proof of what is gone keeps nothing", hours, (1, 0, 0), proven: ["z"],
            gone: ["a", "b"]),
        Case("the newest of each day, from midnight UTC", days, (1, 3, 0), gone: ["b", "d"]),
        Case("days without a backup do not count", days, (1, 2, 0), gone: ["a", "b", "d"]),
        Case("newest and days together", days, (2, 2, 0), gone: ["a", "b"]),
        Case(
            "the newest of each ISO week, from Monday, over the year's end", weeks, (1, 0, 4),
            gone: ["b", "d"]),
        Case("two weeks", weeks, (1, 0, 2), gone: ["a", "b", "c", "d"]),
        Case("days and weeks together", weeks, (1, 3, 3), gone: ["a", "b"]),
        Case(
            "before 1970", ["a 1969-12-31T22:00:00", "b 1969-12-31T23:00:00",
                "c 1970-01-01T00:00:00"], (1, 2, 1), gone: ["a"]),
        Case(
            "a clock that was set back makes the newest position no older",
            ["a 2026-11-25T09:00:00", "b 2026-11-25T10:00:00", "c 2025-01-01T00:00:00"],
            (1, 0, 0), gone: ["a", "b"]),
    ]

    @Test("The table", arguments: cases)
    func table(one: Case) throws {
        let retention = BackupRetention(
            newestCount: one.keep.newest, dayCount: one.keep.days, weekCount: one.keep.weeks)
        let backups = try one.backups.enumerated().map { try candidate($1, position: Int64($0)) }
        for order in [backups, backups.reversed()] {
            let gone = retention.superfluous(among: order, of: "ours", proven: one.proven)
            #expect(gone == one.gone)
        }
    }

    @Test("Other ledgers, unreadable manifests and parts are neither counted nor taken away")
    func notOurs() throws {
        let retention = BackupRetention(newestCount: 1)
        let backups = [
            Candidate(name: "unreadable", facts: nil),
            try candidate("other 2026-11-25T01:00:00", position: 1, ledger: "theirs"),
            try candidate("part 2026-11-25T02:00:00", position: 2, tableCount: 1),
            try candidate("old 2026-11-25T03:00:00", position: 3, dictionary: "1", tableCount: 2),
            try candidate("a 2026-11-25T04:00:00", position: 4),
            try candidate("b 2026-11-25T05:00:00", position: 5),
            try candidate("later 2026-11-25T06:00:00", position: 6, ledger: "theirs"),
            try candidate("part2 2026-11-25T07:00:00", position: 7, tableCount: 2),
            Candidate(name: "unreadable2", facts: nil),
        ]
        let proven: Set = ["unreadable", "other", "part"]
        let gone = retention.superfluous(among: backups, of: "ours", proven: proven)
        #expect(gone == ["old", "a"])
        let theirs = retention.superfluous(among: backups, of: "theirs", proven: [])
        #expect(theirs == ["other"])
    }

    @Test("Random places: the newest always stays, and taking away twice takes no more away")
    func random() throws {
        var generator = SeededGenerator()
        for _ in 0..<300 {
            let count = Int.random(in: 0...40, using: &generator)
            var time: Int64 = 1_790_000_000_000_000
            let backups = (0..<count).map { index in
                time += Int64.random(in: 1...200_000, using: &generator) * 1_000_000
                return Candidate(
                    name: "\(index)",
                    facts: .init(
                        ledger: "ours", position: Int64(index), madeAt: time, dictionary: "2",
                        tableCount: 3))
            }
            let retention = BackupRetention(
                newestCount: .random(in: 1...5, using: &generator),
                dayCount: .random(in: 0...7, using: &generator),
                weekCount: .random(in: 0...4, using: &generator))
            let proven = Set(
                backups.map(\.name).filter { _ in Int.random(in: 0...5, using: &generator) == 0 })
            let gone = Set(retention.superfluous(among: backups, of: "ours", proven: proven))
            let left = backups.filter { !gone.contains($0.name) }
            #expect(left.suffix(retention.newestCount) == backups.suffix(retention.newestCount))
            #expect(
                left.last { proven.contains($0.name) } == backups.last { proven.contains($0.name) })
            #expect(
                left.count <= retention.newestCount + retention.dayCount + retention.weekCount + 1)
            let again = retention.superfluous(among: left, of: "ours", proven: proven)
            #expect(again.isEmpty, "\(generator.seed)")
        }
    }

    private func candidate(
        _ text: String, position: Position, ledger: String = "ours", dictionary: String = "2",
        tableCount: Int = 3
    ) throws -> Candidate {
        let parts = text.split(separator: " ").map(String.init)
        return Candidate(
            name: parts[0],
            facts: .init(
                ledger: ledger, position: position, madeAt: try BackupTime.parse(parts[1] + "Z"),
                dictionary: dictionary, tableCount: tableCount))
    }
}
