import DaybookLog
import DaybookSegments
import Testing

@Suite("Proofs from a log, and anchors") struct BatchPathTests {
    /// A log of some 50 batches in blocks of 1 to 5 and several segments, and the state after each
    /// batch.
    private struct Batches {
        let disk = MemoryDisk()
        let log: SegmentLog
        /// The first position of each batch.
        var positions: [Position] = []
        var leaves: [Digest] = []
        var heads: [TreeHead] = []
        /// How many batches there are after each block.
        var blockSizes: [UInt64] = []

        init() throws {
            log = try Sample.open(disk, segmentByteCount: 3_000)
            var frontier = MerkleFrontier()
            for block in 0..<17 {
                let made = try Sample.append(log, batches: block % 5 + 1, rows: block % 3 + 1)
                blockSizes.append(made.head.size)
                try made.forEachBatch { reader in
                    positions.append(reader.facts.position)
                    let end = reader.facts.position + Position(reader.rowCount)
                    leaves.append(MerkleFrontier.leaf(of: try reader.finish()))
                    frontier.append(leaves[leaves.count - 1])
                    heads.append(
                        TreeHead(
                            ledger: made.head.ledger, size: frontier.size, position: end,
                            root: frontier.root))
                }
            }
        }
    }

    /// The digest of no batch.
    private static func digest(_ number: UInt8) -> Digest {
        [number].withUnsafeBytes { Digest(of: $0) }
    }

    @Test("Every batch has a path to every later state, and every earlier tree one to it")
    func paths() throws {
        let batches = try Batches()
        let log = batches.log
        #expect(log.size.segments > 2 && batches.positions.count > 45)
        for size in [batches.blockSizes[4], batches.blockSizes[11], log.durable.size] {
            let head = batches.heads[Int(size) - 1]
            for index in 0..<Int(size) {
                let position = batches.positions[index]
                let plain = try log.merklePath(ofBatchAt: position, in: head)
                #expect(plain.index == UInt64(index) && plain.leaf == batches.leaves[index])
                #expect(plain.head == head && plain.earlier == nil && plain.holds)
                let earlier = UInt64(index * 31) % size + 1
                let both = try log.merklePath(ofBatchAt: position, in: head, from: earlier)
                #expect(both.inclusion == plain.inclusion && both.holds)
                #expect(both.earlier?.size == earlier)
                #expect(both.earlier?.root == batches.heads[Int(earlier) - 1].root)
            }
        }
        let inside = try log.merklePath(ofBatchAt: batches.positions[9] - 1, in: log.durable)
        #expect(inside.index == 8)
        #expect(throws: LogError.outOfRange(batches.heads[9].position)) {
            try log.merklePath(
                ofBatchAt: batches.heads[9].position, in: batches.heads[9], from: nil)
        }
    }

    @Test("A log reaches every state it had, in the middle of a block too")
    func anchorsHold() throws {
        let batches = try Batches()
        try batches.log.close()
        let start = TreeHead.start(of: batches.log.ledger)
        let found = try LogVerifier.run(
            disk: batches.disk, anchors: batches.heads.reversed() + [start])
        #expect(found.problems == [] && found.anchors.count == batches.heads.count + 1)
        #expect(found.anchors.allSatisfy { $0.outcome == .holds })
        #expect(found.anchoredPosition == batches.log.durable.position)
        let some = try LogVerifier.run(disk: batches.disk, anchors: [batches.heads[20]])
        #expect(some.isSound && some.anchoredPosition == batches.heads[20].position)
        let none = try LogVerifier.run(disk: batches.disk)
        #expect(none.anchoredPosition == 0 && none.anchors.isEmpty)
    }

    @Test("A state it never had, or comes to no more, is a problem with the range of positions")
    func anchorsContradict() throws {
        let batches = try Batches()
        try batches.log.close()
        let end = batches.log.durable
        let truth = batches.heads[12]
        func altered(_ head: TreeHead, position: Position = 0) -> TreeHead {
            TreeHead(
                ledger: head.ledger, size: head.size, position: head.position + position,
                root: position == 0 ? Self.digest(1) : head.root)
        }
        for wrong in [altered(batches.heads[30]), altered(batches.heads[30], position: 1)] {
            let found = try LogVerifier.run(
                disk: batches.disk, anchors: [wrong, truth, altered(batches.heads[40])])
            #expect(found.problems.count == 1, "what follows from the first is not said again")
            let problem = try #require(found.problems.first)
            #expect(problem.position == truth.position && problem.offset > 0)
            #expect(problem.what.contains("positions \(truth.position)..<\(wrong.position)"))
            #expect(found.anchoredPosition == truth.position)
        }
        let later = TreeHead(
            ledger: end.ledger, size: end.size + 1, position: end.position + 1,
            root: Self.digest(1))
        let lost = try LogVerifier.run(disk: batches.disk, anchors: [later, truth])
        #expect(lost.problems.count == 1 && lost.problems[0].what.contains("lost"))
        #expect(lost.anchoredPosition == truth.position)
    }

    @Test("What is damaged is not anchored, though a later anchor holds")
    func damage() throws {
        let batches = try Batches()
        try batches.log.close()
        var files = batches.disk.files
        let names = files.keys.filter { $0.hasSuffix(".avro.lz4") }.sorted()
        let second = try #require(files[names[1]])
        files[names[1]]?[second.count / 2] ^= 1
        let found = try LogVerifier.run(
            disk: MemoryDisk(files: files), anchors: [batches.log.durable])
        #expect(found.anchors[0].outcome == .holds)
        let problem = try #require(found.problems.first)
        #expect(problem.segment == names[1] && found.anchoredPosition == problem.position)
        #expect(found.anchoredPosition < batches.log.durable.position)
    }
}
