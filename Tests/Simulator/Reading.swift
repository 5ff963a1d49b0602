import Avro
import DaybookLog
import DaybookSegments

// Readers, held against the model.
extension Simulation {
    func read() throws {
        guard let log else { return }
        tally.count(.read)
        let position = Position(dice.below(Int(model.position) + 2))
        let byteLimit = dice.once(in: 3) ? 1 << 20 : 1
        let fired = disk.firedCount
        let found = Result { () throws(LogError) in
            try log.blocks(from: position, byteLimit: byteLimit)
        }
        switch found {
        case .success(let blocks): try requireBlocks(blocks, from: position)
        case .failure(let error): try examine(error, reading: position, since: fired)
        }
    }

    private func requireBlocks(_ blocks: [DurableBlock], from position: Position) throws {
        if let first = blocks.first {
            try require(
                first.firstPosition <= position && position < first.endPosition,
                "the block at \(first.firstPosition) was given for \(position)")
        } else {
            try require(position == model.position, "no block was given for \(position)")
        }
        for block in blocks { try require(block) }
    }

    /// A block is what was acknowledged.
    func require(_ block: DurableBlock) throws {
        guard var place = model.place(of: block.firstPosition) else {
            throw Violation(description: "a block at \(block.firstPosition), behind the end")
        }
        try block.forEachBatch { reader in
            let entry = model.entries[place]
            let leaf = MerkleFrontier.leaf(of: try reader.finish())
            try require(
                reader.facts.position == entry.position && leaf == entry.leaf,
                "the batch at \(reader.facts.position) is not what was acknowledged")
            place += 1
        }
    }

    func examine(_ error: LogError, reading position: Position, since fired: Int) throws {
        note("reading \(position): \(error)")
        switch error {
        case .outOfRange:
            try require(position > model.position, "position \(position) is said to be outside")
        case .corrupt:
            tally.count(.unreadable)
            try require(wound != nil, "reading \(position): \(error)")
        default:
            try require(disk.firedCount > fired, "reading \(position): \(error)")
        }
    }

    func readAsOf() throws {
        guard let log, !model.entries.isEmpty else { return }
        tally.count(.readAsOf)
        let entry = model.entries[dice.below(model.entries.count)]
        let time = entry.receivedAt + Microseconds(dice.below(3) - 1)
        let fired = disk.firedCount
        let found = Result { () throws(LogError) in try log.position(asOf: time) }
        switch found {
        case .success(let position):
            let expected = model.position(asOf: time)
            try require(
                position == expected, "as of \(time) the log ends at \(position), not \(expected)")
        case .failure(let error): try examine(error, reading: -1, since: fired)
        }
    }
}
