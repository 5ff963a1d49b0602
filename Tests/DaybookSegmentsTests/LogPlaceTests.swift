import DaybookLog
import DaybookSegments
import Testing

/// Where a position lies, held against the definition of the tree: nothing of it is kept between
/// two batches of a block, so it is made again.
@Suite struct LogPlaceTests {
    /// The root of RFC 6962, section 2.1, by its definition.
    private func root(_ leaves: ArraySlice<Digest>) -> Digest {
        guard leaves.count > 1 else { return leaves.first ?? MerkleFrontier().root }
        var width = 1
        while width * 2 < leaves.count { width *= 2 }
        let middle = leaves.startIndex + width
        return MerkleFrontier.parent(root(leaves[..<middle]), root(leaves[middle...]))
    }

    @Test("After every batch stands the tree of those below; inside of one stands no state")
    func everyPosition() throws {
        let log = try Sample.open(MemoryDisk(), segmentByteCount: 1000)
        for batches in [1, 4, 2, 7, 1, 5, 3] { try Sample.append(log, batches: batches, rows: 4) }
        #expect(log.segmentStarts.count > 1, "segments begin in the middle of the tree")
        var expected: [Position: LogPlace] = [0: .boundary(.start(of: log.ledger), receivedAt: 0)]
        var leaves: [Digest] = []
        var position: Position = 0
        while position < log.durable.position {
            for block in try log.blocks(from: position, byteLimit: 1) {
                try block.forEachBatch { reader in
                    let facts = reader.facts
                    let end = facts.position + Position(reader.rowCount)
                    leaves.append(MerkleFrontier.leaf(of: try reader.finish()))
                    for inside in facts.position + 1..<end {
                        expected[inside] = .insideBatch(facts.position..<end)
                    }
                    let head = TreeHead(
                        ledger: log.ledger, size: UInt64(leaves.count), position: end,
                        root: root(leaves[...]))
                    expected[end] = .boundary(head, receivedAt: facts.receivedAt)
                }
                position = block.endPosition
            }
        }
        for position in 0...log.durable.position {
            #expect(try log.place(of: position) == expected[position], "position \(position)")
        }
        for outside in [-1, log.durable.position + 1] {
            #expect(throws: LogError.outOfRange(outside)) { try log.place(of: outside) }
        }
    }
}
