import DaybookLog
import Testing

@testable import DaybookSegments

@Suite("Recovery")
struct RecoveryTests {
    @Test("Every combination of findings has one decision, and a witness always halts")
    func everyCombination() {
        let sources = Evidence.Source.allCases
        let subsets = (0..<(1 << sources.count)).map { bits in
            Set(sources.indices.filter { bits >> $0 & 1 == 1 }.map { sources[$0] })
        }
        var count = 0
        for ahead in subsets {
            for forked in subsets {
                for hasRest in [false, true] {
                    let decision = RecoveryTable.decide(
                        RecoveryFindings(hasInvalidRest: hasRest, ahead: ahead, forked: forked)
                    ).decision
                    let expected: RecoveryDecision =
                        if let source = sources.first(where: forked.contains) {
                            .haltForked(source)
                        } else if let source = sources.first(where: ahead.contains) {
                            .haltCorrupt(source)
                        } else {
                            hasRest ? .cutTornTail : .open
                        }
                    if decision != expected {
                        Issue.record("\(ahead) \(forked) \(hasRest): \(decision)")
                    }
                    count += 1
                }
            }
        }
        #expect(count == 1 << (2 * sources.count + 1))
    }

    /// A log of three blocks, the last of which nothing attests; with the offset where it starts.
    private func tornLog() throws -> (files: [String: [UInt8]], offset: Int) {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        try Sample.append(log)
        let offset = disk.files[Sample.firstSegment]?.count ?? 0
        let head = disk.files["HEAD"]
        try Sample.append(log)
        var files = disk.files
        files["HEAD"] = head
        return (files, offset)
    }

    /// What is said of the corruption that keeps these files from being opened.
    private func corruption(opening files: [String: [UInt8]]) throws -> Corruption {
        let error = #expect(throws: LogError.self) { try Sample.open(MemoryDisk(files: files)) }
        guard case .corrupt(let corruption)? = error else { throw error ?? .closed }
        return corruption
    }

    private func flipBodyOfFirstBlock(_ files: inout [String: [UInt8]]) throws {
        let blocks = try #require(files[Sample.firstSegment])
        let first = try #require(blocks.firstRange(of: Array("DAYBKBLK".utf8))).lowerBound - 8
        files[Sample.firstSegment]?[first + 240] ^= 1
    }

    @Test("A torn tail is cut back to the last whole block, wherever it was torn")
    func tornEverywhere() throws {
        let (files, offset) = try tornLog()
        let whole = try #require(files[Sample.firstSegment])
        for length in (offset + 1)..<whole.count {
            var torn = files
            torn[Sample.firstSegment] = Array(whole[..<length])
            let disk = MemoryDisk(files: torn)
            let log = try Sample.open(disk)
            #expect(log.durable.position == 6)
            #expect(log.recovery.cut?.offset == UInt64(offset))
            #expect(log.recovery.cut?.byteCount == UInt64(length - offset))
            let kept = try #require(log.recovery.cut?.keptAs)
            #expect(disk.files[kept] == Array(whole[offset..<length]))
            try Sample.append(log)
            #expect(try Sample.values(log) == Array(0..<9))
        }
    }

    @Test(
        "Rot in the unattested last block looks like a torn write, and is kept aside and reported")
    func rotInLastBlock() throws {
        var (files, offset) = try tornLog()
        files[Sample.firstSegment]?[offset + 300] ^= 1
        let log = try Sample.open(MemoryDisk(files: files))
        #expect(log.durable.position == 6)
        #expect(log.recovery.cut != nil)
    }

    @Test("Zeros behind the last block are a torn tail, not more log")
    func zeros() throws {
        var (files, offset) = try tornLog()
        let whole = try #require(files[Sample.firstSegment])
        files[Sample.firstSegment] = Array(whole[..<offset]) + [UInt8](repeating: 0, count: 9000)
        let log = try Sample.open(MemoryDisk(files: files))
        #expect(log.recovery.cut?.byteCount == 9000)
        #expect(try Sample.values(log) == Array(0..<6))
    }

    @Test("A flipped bit in a block that a later block attests halts, and changes nothing")
    func attestedRot() throws {
        let (files, offset) = try tornLog()
        let blocks = try #require(files[Sample.firstSegment])
        let first = try #require(blocks.firstRange(of: Array("DAYBKBLK".utf8))).lowerBound - 8
        for place in stride(from: first, to: offset, by: 7) {
            var damaged = files
            damaged[Sample.firstSegment]?[place] ^= 0x10
            let disk = MemoryDisk(files: damaged)
            let error = #expect(throws: LogError.self) { try Sample.open(disk) }
            guard case .corrupt(let corruption) = error else {
                Issue.record("byte \(place): \(String(describing: error))")
                continue
            }
            #expect(corruption.file == Sample.firstSegment)
            #expect(corruption.offset <= UInt64(place))
            #expect(corruption.position == 0 || corruption.position == 3)
            #expect(disk.files == damaged)
        }
    }

    @Test("A later block alone, without a head file, is evidence that the one before was durable")
    func laterBlockAlone() throws {
        var (files, _) = try tornLog()
        files["HEAD"] = nil
        try flipBodyOfFirstBlock(&files)
        let corruption = try corruption(opening: files)
        #expect(corruption.position == 0)
        #expect(corruption.what.contains("a later block"))
    }

    @Test("An attestation alone, without a head file, is evidence that the last block was durable")
    func attestationAlone() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        try log.close()
        var files = disk.files
        files["HEAD"] = nil
        try flipBodyOfFirstBlock(&files)
        let corruption = try corruption(opening: files)
        #expect(corruption.what.contains("an attestation"))
    }

    @Test("A whole block that is gone is noticed by the head file")
    func headFileAhead() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        let shorter = disk.files[Sample.firstSegment]
        try Sample.append(log)
        disk.files[Sample.firstSegment] = shorter
        let error = #expect(throws: LogError.self) { try Sample.open(disk) }
        guard case .corrupt(let corruption) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(corruption.position == 3)
        #expect(corruption.what.contains("head file"))
    }

    @Test(
        "A whole last block that is gone is noticed by its attestation's absence in Postgres only")
    func checkpointAhead() throws {
        let (files, offset) = try tornLog()
        let whole = try #require(files[Sample.firstSegment])
        var torn = files
        torn[Sample.firstSegment] = Array(whole[..<(offset + 40)])
        var options = Sample.options()
        let root = Digest(of: UnsafeRawBufferPointer(start: nil, count: 0))
        let ledger = try Sample.open(MemoryDisk(files: files)).ledger
        options.askCheckpoint = { TreeHead(ledger: ledger, size: 3, position: 9, root: root) }
        let error = #expect(throws: LogError.self) {
            try SegmentLog(disk: MemoryDisk(files: torn), options: options)
        }
        guard case .corrupt(let corruption) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(corruption.what.contains("Postgres"))
    }

    @Test("Another root at a known position is a fork, and halts")
    func fork() throws {
        let (files, _) = try tornLog()
        var options = Sample.options()
        options.evidence = [
            Evidence(
                source: .backup, position: 3,
                root: Digest(of: UnsafeRawBufferPointer(start: nil, count: 0)))
        ]
        let error = #expect(throws: LogError.self) {
            try SegmentLog(disk: MemoryDisk(files: files), options: options)
        }
        guard case .corrupt(let corruption) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(corruption.what.contains("another root"))
    }

    @Test("What nothing attests is written again and synced before anyone sees it")
    func rewritten() throws {
        let (files, offset) = try tornLog()
        let disk = MemoryDisk(files: files)
        let log = try Sample.open(disk)
        #expect(log.durable.position == 9)
        let whole = try #require(files[Sample.firstSegment])
        #expect(log.recovery.rewrittenByteCount == UInt64(whole.count - offset))
        #expect(disk.files[Sample.firstSegment] == whole)
        let calls = disk.calls.map(\.name)
        let write = try #require(calls.firstIndex(of: "pwrite"))
        #expect(calls[write...].starts(with: ["pwrite", "fdatasync", "fsync"]))
    }

    @Test("A clean stop attests the last block: only the attestation itself is written again")
    func cleanStop() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        try log.close()
        let again = try Sample.open(disk)
        #expect(again.recovery.cut == nil)
        #expect(again.recovery.rewrittenByteCount == UInt64(Attestation.frameByteCount))
        #expect(again.durable.position == 3)
    }
}
