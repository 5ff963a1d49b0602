import DaybookLog

/// Which backups of a place are kept: the newest, one of each of the last days, one of each of the
/// last weeks. All else may go. No I/O.
///
/// Days and ISO weeks are those of UTC, and only those that have a backup count: a ledger that
/// stood still for a month does not lose what was there before.
public struct BackupRetention: Sendable, Equatable {
    /// So many of the newest are kept; at least 1.
    public let newestCount: Int
    /// Of so many of the last days that have one, the newest is kept.
    public let dayCount: Int
    /// Of so many of the last ISO weeks that have one, the newest is kept.
    public let weekCount: Int

    /// A backup, as far as it matters here.
    public struct Candidate: Sendable, Equatable {
        /// Its name.
        public let name: String
        /// What its manifest says; nil if that cannot be read.
        public let facts: Facts?

        /// What a manifest says.
        public struct Facts: Sendable, Equatable {
            /// The ledger's id.
            public let ledger: String
            /// Its position.
            public let position: Position
            /// When it was made, in microseconds from 1970 UTC.
            public let madeAt: Microseconds
            /// The version of the dictionary.
            public let dictionary: String
            /// How many tables it has.
            public let tableCount: Int

            /// Such facts.
            public init(
                ledger: String, position: Position, madeAt: Microseconds, dictionary: String,
                tableCount: Int
            ) {
                self.ledger = ledger
                self.position = position
                self.madeAt = madeAt
                self.dictionary = dictionary
                self.tableCount = tableCount
            }
        }

        /// A backup of a name.
        public init(name: String, facts: Facts?) {
            self.name = name
            self.facts = facts
        }

        /// A backup with what was read of its manifest.
        public init(name: String, manifest: BackupManifest?) {
            self.name = name
            facts = manifest.flatMap { manifest in
                manifest.madeAt.map { madeAt in
                    Facts(
                        ledger: manifest.ledger, position: manifest.position, madeAt: madeAt,
                        dictionary: manifest.dictionary, tableCount: manifest.tables.count)
                }
            }
        }
    }

    /// Keeps so many.
    public init(newestCount: Int, dayCount: Int = 0, weekCount: Int = 0) {
        precondition(newestCount >= 1, "the newest backup is always kept")
        precondition(dayCount >= 0 && weekCount >= 0, "a number of days or weeks is no debt")
        self.newestCount = newestCount
        self.dayCount = dayCount
        self.weekCount = weekCount
    }

    /// The names of the backups that need not be kept, oldest first.
    ///
    /// Never among them: the newest that was proven, those of other ledgers, those whose manifest
    /// cannot be read, and those that somebody made of some tables only.
    ///
    /// - Parameters:
    ///   - ledger: The ledger whose backups are meant.
    ///   - proven: The names of the backups that were proven.
    public func superfluous(
        among backups: [Candidate], of ledger: String, proven: Set<String>
    ) -> [String] {
        let ours = backups.compactMap { backup in
            backup.facts.map { (name: backup.name, facts: $0) }
        }.filter { $0.facts.ledger == ledger }
        // Under one dictionary, whoever has fewer tables than another is a part.
        let tableCounts = Dictionary(
            ours.map { ($0.facts.dictionary, $0.facts.tableCount) }, uniquingKeysWith: max)
        let newestFirst = ours.filter { $0.facts.tableCount == tableCounts[$0.facts.dictionary] }
            .sorted { left, right in
                // By position first: a clock that was set back makes no new backup old.
                (left.facts.position, left.facts.madeAt, left.name)
                    > (right.facts.position, right.facts.madeAt, right.name)
            }
            .map { (name: $0.name, madeAt: $0.facts.madeAt) }
        var kept = Set(newestFirst.prefix(newestCount).map(\.name))
        if let backup = newestFirst.first(where: { proven.contains($0.name) }) {
            kept.insert(backup.name)
        }
        for (count, period) in [(dayCount, Self.day), (weekCount, Self.week)] {
            var seen: Set<Int64> = []
            for backup in newestFirst where seen.count < count {
                if seen.insert(period(backup.madeAt)).inserted { kept.insert(backup.name) }
            }
        }
        return newestFirst.reversed().map(\.name).filter { !kept.contains($0) }
    }

    /// The days from 1970-01-01 UTC.
    private static func day(_ time: Microseconds) -> Int64 {
        let length: Int64 = 86_400_000_000
        return time >= 0 ? time / length : (time + 1) / length - 1
    }

    /// The weeks from that of 1970-01-01, which was a Thursday; each begins on a Monday. (ISO 8601)
    private static func week(_ time: Microseconds) -> Int64 {
        let days = day(time) + 3
        return days >= 0 ? days / 7 : (days + 1) / 7 - 1
    }
}
