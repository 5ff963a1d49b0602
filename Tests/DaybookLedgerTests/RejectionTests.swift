import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("The life of rejections")
struct RejectionTests {
    private static let row = #"{"id":1,"name":"a"}"#
    private static let nameless = #"{"id":1}"#

    /// Sends one row in the place of a rejected one.
    private func resubmit(
        _ bench: Bench, _ position: Position, _ json: String, key: String? = nil
    ) async throws -> Receipt {
        let stored = try #require(try bench.ledger.rejection(at: position))
        return try await bench.append(
            stored.root.table, json, key: key,
            corrects: [RowCorrection(row: 0, rejection: stored.root)])
    }

    private func waive(_ bench: Bench, _ position: Position) async throws {
        let stored = try #require(try bench.ledger.rejection(at: position))
        _ = try await bench.ledger.waive(
            [stored.root], Waiver(note: "of no use", principal: "ann"))
    }

    /// A rejected department in a new ledger; its position.
    private func rejected(_ bench: Bench) async throws -> Position {
        try #require(try await bench.append("departments", Self.nameless).rejected.first).position
    }

    @Test("A rejection is read with its batch; an accepted row, an own event and the end are none")
    func stored() async throws {
        let bench = try Bench()
        let receipt = try await bench.append("departments", "[\(Self.row),{\"id\":2},{\"id\":3}]")
        let stored = try #require(try bench.ledger.rejection(at: receipt.position + 2))
        #expect(stored.rejection.raw == Array(#"{"id":3}"#.utf8))
        #expect(stored.index == 2 && !stored.isRetry && stored.batch.id == receipt.batchID)
        #expect(stored.root == RejectionRoot(position: receipt.position + 2, table: "departments"))
        for position in [0, receipt.position, receipt.endPosition, -1] {
            #expect(try bench.ledger.rejection(at: position) == nil)
        }
    }

    @Test("Corrected once it is closed, at once and after a restart; so is what was waived")
    func closedOnce() async throws {
        let bench = try Bench()
        let first = try await rejected(bench)
        let second = try await rejected(bench)
        #expect(try await resubmit(bench, first, Self.row).brief == [])
        try await waive(bench, second)
        for round in 0..<3 {
            await #expect(throws: LedgerError.rejectionClosed(first, .corrected)) {
                try await waive(bench, first)
            }
            await #expect(throws: LedgerError.rejectionClosed(first, .corrected)) {
                try await resubmit(bench, first, #"{"id":7,"name":"b"}"#)
            }
            await #expect(throws: LedgerError.rejectionClosed(second, .waived)) {
                try await resubmit(bench, second, #"{"id":7,"name":"b"}"#)
            }
            // From the snapshot, then from the log alone.
            if round == 1 {
                bench.close()
                try FileManager.default.removeItem(atPath: bench.folder)
            }
            try bench.open()
        }
        #expect(try await bench.append("departments", #"{"id":7,"name":"b"}"#).brief == [])
    }

    @Test("A retry that fails is a rejection of the same row, and what mends it mends all")
    func retries() async throws {
        let bench = try Bench()
        let first = try await rejected(bench)
        let again = try #require(
            try await resubmit(bench, first, #"{"id":1,"name":5}"#).rejected.first)
        let third = try #require(
            try await resubmit(bench, again.position, #"{"id":1,"name":6}"#).rejected.first)
        let stored = try #require(try bench.ledger.rejection(at: third.position))
        #expect(stored.isRetry && stored.root.position == first)
        #expect(try await resubmit(bench, third.position, Self.row).brief == [])
        for position in [first, again.position, third.position] {
            await #expect(throws: LedgerError.rejectionClosed(first, .corrected)) {
                try await waive(bench, position)
            }
        }
    }

    @Test("A resubmission sent again with its key is answered alike, and corrects once")
    func idempotent() async throws {
        let bench = try Bench()
        let first = try await rejected(bench)
        let receipt = try await resubmit(bench, first, Self.row, key: "k")
        var replay = try await resubmit(bench, first, Self.row, key: "k")
        #expect(replay.isReplay)
        replay.isReplay = false
        #expect(replay == receipt)
    }

    @Test("Of an atomic batch that fails nothing is corrected; of another the good rows are")
    func batches() async throws {
        let bench = try Bench()
        let positions = [try await rejected(bench), try await rejected(bench)]
        let roots = try positions.map { try #require(try bench.ledger.rejection(at: $0)).root }
        let corrects = [
            RowCorrection(row: 0, rejection: roots[0]), RowCorrection(row: 2, rejection: roots[1]),
        ]
        let rows = #"[{"id":1,"name":"a"},{"id":2,"name":"b"},{"id":3}]"#
        let none = try await bench.append("departments", rows, isAtomic: true, corrects: corrects)
        #expect(none.acceptedCount == 0)
        #expect(try await bench.append("departments", rows, corrects: corrects).acceptedCount == 2)
        await #expect(throws: LedgerError.rejectionClosed(positions[0], .corrected)) {
            try await bench.append("departments", rows, corrects: corrects)
        }
        try await waive(bench, positions[1])
    }

    @Test("A group that is undone leaves its rejections open")
    func undone() async throws {
        let bench = try Bench()
        let first = try await rejected(bench)
        bench.log.fail(append: 0, .diskFull)
        await #expect(throws: LedgerError.diskFull) { try await resubmit(bench, first, Self.row) }
        #expect(try await resubmit(bench, first, Self.row).brief == [])
    }

    @Test("Restarted at any time, from any snapshot, random histories have the states of a model")
    func histories() async throws {
        var random = SeededGenerator()
        let seed = random.seed
        let bench = try Bench { $0.snapshotEventInterval = 11 }
        var roots: [Position] = []
        var states: [Position: RejectionState] = [:]
        for step in 0..<300 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let position = try await rejected(bench)
                roots.append(position)
                states[position] = .open
            case 9:
                let interval = Int64.random(in: 3..<60, using: &random)
                try bench.open { $0.snapshotEventInterval = interval }
            case let choice:
                guard let root = roots.randomElement(using: &random) else { continue }
                let isWaiver = choice == 8
                do {
                    if isWaiver {
                        try await waive(bench, root)
                    } else {
                        _ = try await resubmit(bench, root, "{\"id\":\(step + 2),\"name\":\"n\"}")
                    }
                    #expect(states[root] == .open, "seed \(seed), step \(step)")
                    states[root] = isWaiver ? .waived : .corrected
                } catch LedgerError.rejectionClosed(let position, let state) {
                    #expect(position == root && states[root] == state, "seed \(seed), \(step)")
                }
            }
        }
    }
}
