/// What a run of rounds did, so that an idle harness shows.
struct KillFigures: Sendable {
    var kinds: [RoundKind: Int] = [:]
    var statuses: [Int: Int] = [:]
    /// Calls whose fate nobody knew when the server was killed.
    var unansweredCount = 0
    /// Of these, tried again: in the log already, or not.
    var foundCount = 0
    var absentCount = 0
    var replayCount = 0
    var conflictCount = 0
    var twiceCount = 0
    /// Starts that were refused, for a torn tail could not be kept on a full disk.
    var refusedStartCount = 0
    /// How long each start took until the server answered, in milliseconds.
    var starts: [Double] = []
    var loadSeconds = 0.0
    var checkSeconds = 0.0

    var roundCount: Int { kinds.values.reduce(0, +) }

    mutating func add(_ result: ClientResult) {
        statuses.merge(result.statuses) { $0 + $1 }
        foundCount += result.foundCount
        absentCount += result.absentCount
        replayCount += result.replayCount
        conflictCount += result.conflictCount
        twiceCount += result.twiceCount
    }

    mutating func add(_ other: KillFigures) {
        kinds.merge(other.kinds) { $0 + $1 }
        statuses.merge(other.statuses) { $0 + $1 }
        unansweredCount += other.unansweredCount
        foundCount += other.foundCount
        absentCount += other.absentCount
        replayCount += other.replayCount
        conflictCount += other.conflictCount
        twiceCount += other.twiceCount
        refusedStartCount += other.refusedStartCount
        starts += other.starts
        loadSeconds += other.loadSeconds
        checkSeconds += other.checkSeconds
    }

    var text: String {
        let sorted = starts.sorted()
        let median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        let kinds = kinds.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let statuses = statuses.sorted { $0.key < $1.key }
            .map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        return """
            rounds: \(roundCount) (\(kinds))
            answers by status: \(statuses)
            unanswered at a kill: \(unansweredCount); tried again: \(foundCount) were in the log, \
            \(absentCount) were not
            acknowledged ones sent again: \(replayCount); over two connections at once: \
            \(twiceCount); other bodies refused: \(conflictCount); starts refused: \
            \(refusedStartCount)
            seconds: load \(loadSeconds.short), starts \((starts.reduce(0, +) / 1_000).short) \
            (median \(median.short) ms, longest \((sorted.last ?? 0).short) ms), \
            checks \(checkSeconds.short)
            """
    }
}

extension Double {
    fileprivate var short: String { "\((self * 10).rounded() / 10)" }
}
