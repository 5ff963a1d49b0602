import DaybookCatalog
import DaybookIntake
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Snapshots of the keys")
struct SnapshotTests {
    private struct Step {
        let table: String
        let rows: String
        let key: String?
        let isAtomic: Bool
    }

    /// A batch over few keys, so that duplicates, references and retries are common.
    private func step(_ random: inout SeededGenerator) -> Step {
        let table = ["departments", "employees", "payments", "currencies"].randomElement(
            using: &random)!
        let rows = (0..<Int.random(in: 1...6, using: &random)).map { _ in
            let a = Int.random(in: 0..<60, using: &random)
            let b = Int.random(in: 0..<60, using: &random)
            switch table {
            case "departments": return #"{"id":\#(a),"name":"n"}"#
            case "employees":
                return #"{"id":\#(a),"email":"\#(b)","department_id":\#(b),"boss_id":\#(a)}"#
            case "payments":
                return #"{"account":"\#(a)","day":"2024-01-0\#(b % 9 + 1)","currency":"\#(b)"}"#
            default: return #"{"code":"\#(a)"}"#
            }
        }
        let key = Bool.random(using: &random) ? "\(Int.random(in: 0..<40, using: &random))" : nil
        return Step(
            table: table, rows: "[\(rows.joined(separator: ","))]", key: key,
            isAtomic: Int.random(in: 0..<5, using: &random) == 0)
    }

    private func run(_ step: Step, on bench: Bench) async throws -> String {
        do {
            let receipt = try await bench.append(
                step.table, step.rows, key: step.key, isAtomic: step.isAtomic)
            return "\(receipt.position) \(receipt.isReplay) \(receipt.brief)"
        } catch let error as LedgerError {
            guard case .idempotencyConflict = error else { throw error }
            return "conflict"
        }
    }

    @Test("Reopened from snapshot and tail, or from the log alone, it decides as if never stopped")
    func restarts() async throws {
        var random = SeededGenerator()
        let seed = random.seed
        let steady = try Bench { $0.snapshotEventInterval = .max / 2 }
        let restarted = try Bench { $0.snapshotEventInterval = 13 }
        let forgetful = try Bench()
        for index in 0..<400 {
            let step = step(&random)
            let expected = try await run(step, on: steady)
            #expect(try await run(step, on: restarted) == expected, "seed \(seed), step \(index)")
            #expect(try await run(step, on: forgetful) == expected, "seed \(seed), step \(index)")
            if Int.random(in: 0..<20, using: &random) == 0 {
                let interval = Int64.random(in: 5..<300, using: &random)
                try restarted.open { $0.snapshotEventInterval = interval }
                forgetful.close()
                try FileManager.default.removeItem(atPath: forgetful.folder)
                try forgetful.open()
            }
        }
        #expect(steady.log.durable.root != restarted.log.durable.root, "ids are random")
        #expect(steady.log.durable.position == restarted.log.durable.position)
    }

    @Test("A crash between snapshots loses nothing: the tail is read again")
    func crash() async throws {
        var random = SeededGenerator()
        let seed = random.seed
        let bench = try Bench { $0.snapshotEventInterval = 50 }
        for _ in 0..<60 { _ = try await run(step(&random), on: bench) }
        while bench.ledger.status.snapshotPosition == 0 {
            try await Task.sleep(for: .milliseconds(2))
        }
        for _ in 0..<10 { _ = try await run(step(&random), on: bench) }
        let copy = bench.folder + "-crash"
        // LMDB's file is good at any moment up to its last commit.
        try FileManager.default.copyItem(atPath: bench.folder, toPath: copy)
        bench.close()
        let later = try Bench(log: bench.log, folder: copy)
        let fresh = try Bench(log: Self.copy(of: bench.log))
        for index in 0..<60 {
            let step = step(&random)
            #expect(
                try await run(step, on: later) == run(step, on: fresh), "seed \(seed), \(index)")
        }
    }

    @Test("A snapshot of another past of the same ledger is made anew, not believed")
    func fork() async throws {
        let schema = try CatalogLoader.load(text: Bench.trade).logSchema()
        let ledger = LedgerID.random()
        let own = try Bench(log: MemoryLog(schema: schema, ledger: ledger))
        try await own.append("departments", #"{"id":1,"name":"a"}"#)
        own.close()
        let other = try Bench(log: MemoryLog(schema: schema, ledger: ledger))
        try await other.append("departments", #"{"id":2,"name":"a"}"#)
        other.close()
        #expect(own.log.durable.position == other.log.durable.position)
        let mixed = try Bench(log: own.log, folder: other.folder)
        let receipt = try await mixed.append(
            "departments", #"[{"id":1,"name":"b"},{"id":2,"name":"b"}]"#)
        #expect(receipt.rejected.map(\.index) == [0], "of its own past is id 1")
    }

    private static func copy(of log: MemoryLog) throws -> MemoryLog {
        let copy = MemoryLog(schema: log.schema, ledger: log.ledger)
        for block in log.allBlocks {
            var builder = BlockBuilder(schema: log.schema)
            try block.forEachBatch { reader in
                var rows: [(Int, [UInt8])] = []
                while let branch = try reader.nextBranch() {
                    let start = reader.cursor.address
                    try reader.skipRow(branch)
                    let bytes = UnsafeRawBufferPointer(
                        start: start, count: reader.cursor.address - start)
                    rows.append((branch, Array(bytes)))
                }
                let rejected = rows.filter { $0.0 == log.schema.rejectionBranch }.count
                let leaf = builder.append(
                    reader.facts, rowCount: rows.count, rejectedCount: rejected
                ) { sink in
                    for (branch, bytes) in rows {
                        sink.append(long: Int64(branch))
                        sink.append(raw: bytes)
                    }
                }
                #expect(leaf != nil)
            }
            _ = try copy.append(builder)
        }
        #expect(copy.durable == log.durable)
        return copy
    }

    enum Damage: CaseIterable {
        case removed, cut, overwritten, headByte, foreign
    }

    @Test(
        "A snapshot that is gone, damaged or another ledger's is made anew",
        arguments: Damage.allCases)
    func damage(_ damage: Damage) async throws {
        let bench = try Bench()
        let rows = (0..<2000).map { #"{"code":"c\#($0)"}"# }
        for start in stride(from: 0, to: rows.count, by: 500) {
            try await bench.append(
                "currencies", "[\(rows[start..<(start + 500)].joined(separator: ","))]")
        }
        try await bench.append("departments", #"[{"id":5,"name":"a"}]"#, key: "k")
        bench.close()
        let path = bench.folder + "/keys.mdb"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        switch damage {
        case .removed: try FileManager.default.removeItem(atPath: path)
        case .cut: try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: path))
        case .overwritten:
            try Data(repeating: 0xA5, count: bytes.count).write(to: URL(fileURLWithPath: path))
        case .headByte:
            var changed = bytes
            let name = Data("departments/id|".utf8)
            var from = changed.startIndex
            while let found = changed.range(of: name, in: from..<changed.endIndex) {
                changed[found.lowerBound] ^= 1
                from = found.upperBound
            }
            #expect(changed != bytes)
            try changed.write(to: URL(fileURLWithPath: path))
        case .foreign:
            let other = try Bench()
            try await other.append("departments", #"[{"id":6,"name":"a"}]"#)
            other.close()
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.copyItem(atPath: other.folder + "/keys.mdb", toPath: path)
        }
        try bench.open()
        let receipt = try await bench.append("currencies", #"[{"code":"c7"},{"code":"d"}]"#)
        #expect(receipt.brief == ["0 duplicate_key(code)"])
        #expect(
            try await bench.append("departments", #"[{"id":5,"name":"a"}]"#, key: "k").isReplay)
        #expect(
            try await bench.append("departments", #"[{"id":5,"name":"a"},{"id":6,"name":"b"}]"#)
                .rejected.map(\.index) == [0])
    }

    @Test("The snapshot follows the log, and a start reads the tail only")
    func follows() async throws {
        let bench = try Bench { $0.snapshotEventInterval = 100 }
        for index in 0..<40 {
            let rows = (0..<10).map { #"{"code":"\#(index * 10 + $0)"}"# }.joined(separator: ",")
            try await bench.append("currencies", "[\(rows)]")
        }
        while bench.ledger.status.snapshotPosition < 100 {
            try await Task.sleep(for: .milliseconds(2))
        }
        bench.close()
        try bench.open()
        #expect(bench.ledger.status.snapshotPosition == bench.log.durable.position)
        #expect(try await bench.append("currencies", #"{"code":"17"}"#).acceptedCount == 0)
    }

    @Test("The log's rows give the slots that intake gave them")
    func sameSlots() async throws {
        var random = SeededGenerator()
        let bench = try Bench()
        for _ in 0..<50 {
            let step = step(&random)
            let batch = try bench.judged(step.table, step.rows)
            let receipt = try await bench.append(step.table, step.rows)
            guard let block = bench.log.allBlocks.last, receipt.acceptedCount > 0 else { continue }
            var extraction = KeyExtraction(
                catalog: bench.catalog, fingerprintKey: bench.ledger.fingerprintKey)
            let rejected = Set(receipt.rejected.map(\.index))
            var expected: [String] = []
            for row in batch.rows.indices where !rejected.contains(row) {
                for (index, plan) in batch.table.slots.enumerated() where plan.role == .unique {
                    let slot = batch.slots[row * batch.table.slots.count + index]
                    if slot.kind == .absent { continue }
                    let position = receipt.position + Position(row)
                    expected.append("\(plan.constraint) \(slot) \(position)")
                }
            }
            var found: [String] = []
            _ = try extraction.extract(from: block) { key in
                found.append("\(key.set) \(key.slot) \(key.position)")
            }
            #expect(found == expected, "seed \(random.seed)")
        }
    }
}
