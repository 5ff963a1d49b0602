import Avro
import DaybookLog
import DaybookSegments

// What a log serves after it was opened, held against the model.
extension Simulation {
    /// A batch as the log has it.
    struct Found {
        let facts: BatchFacts
        let rowCount: Int
        let leaf: Digest
        let codes: [Model.Codes]
    }

    /// Everything that was acknowledged is there once, in order, and unchanged; what nobody knew is
    /// there whole or not at all, and is acknowledged from now on.
    func compare(_ log: SegmentLog) throws(LogError) {
        if log.durable.position < model.position, mayLoseLast { loseLast(log) }
        var tail: [Found] = []
        var position: Position = 0
        while position < log.durable.position {
            let blocks: [DurableBlock]
            do throws(LogError) {
                blocks = try log.blocks(from: position, byteLimit: 1 << 20)
            } catch {
                guard case .corrupt = error, wound != nil else { throw error }
                tally.count(.unreadable)
                // What is behind the damage is still served.
                guard let next = log.segmentStarts.first(where: { $0 > position }) else { break }
                position = next
                continue
            }
            guard let last = blocks.last else { return try fail("no block at \(position)") }
            for block in blocks { try compare(block, &tail) }
            position = last.endPosition
        }
        try adopt(tail)
        if log.durable.position != model.position {
            try fail("the log ends at \(log.durable.position), the model at \(model.position)")
        }
    }

    private func loseLast(_ log: SegmentLog) {
        let isAttested = model.attestedCount == model.entries.count
        if isAttested, case .rot = wound { return }
        // The head file survives a kill, and knew of it.
        if headWitness == model.position { return }
        // The last group, which is the last block unless groups are as small as batches. A write
        // that went astray takes the block with it that it fell on; only the one before the last
        // has no more witness then.
        let end = log.durable.position
        let start = model.lastGroupPosition
        if case .lie(_, isMisdirected: true, _) = wound {
            if end < model.groupPosition(before: start) { return }
        } else if groupByteLimit > 4096 ? end != start : end < start {
            return
        }
        note("the last group is lost")
        tally.count(.exempt)
        model.lose(from: end)
        uncertain = []
        // Whoever kept a checkpoint of it would have made the log halt.
        if let checkpoint = surroundings.checkpoint, checkpoint.position > model.position {
            surroundings.checkpoint = nil
        }
    }

    private func compare(_ block: DurableBlock, _ tail: inout [Found]) throws(LogError) {
        do {
            try block.forEachBatch { reader in
                let position = reader.facts.position
                if position >= model.position {
                    tail.append(try found(&reader))
                    return
                }
                guard let place = model.place(of: position) else { return }
                let leaf = MerkleFrontier.leaf(of: try reader.finish())
                let entry = model.entries[place]
                if entry.position != position || entry.leaf != leaf || entry.id != reader.facts.id {
                    throw Violation(
                        description: "the batch at \(position) is not what was acknowledged")
                }
            }
        } catch {
            try fail("\(error)")
        }
    }

    private func found(_ reader: inout BatchReader) throws -> Found {
        var codes: [Model.Codes] = []
        while let branch = try reader.nextBranch() {
            if branch == reader.schema.rejectionBranch {
                codes.append(Model.Codes(try reader.readRejection().reasons.map(\.code)))
            } else {
                codes.append([])
                try reader.skipRow(branch)
            }
        }
        return Found(
            facts: reader.facts, rowCount: reader.rowCount,
            leaf: MerkleFrontier.leaf(of: try reader.finish()), codes: codes)
    }

    /// Takes up what is in the log beyond what was acknowledged.
    private func adopt(_ tail: [Found]) throws(LogError) {
        defer { uncertain = [] }
        groupCount += 1
        if model.entries.isEmpty, tail.first?.facts.source == "system" {
            for found in tail { commit(found, nil) }
            return
        }
        // A retry within the group is not a batch of its own.
        var known: Set<Model.Identity> = []
        let written = uncertain.filter { element in
            guard let identity = element.request.identity else { return true }
            return model.entry(identity) == nil && known.insert(identity).inserted
        }
        if isUncertainWhole, !tail.isEmpty, tail.count != written.count {
            return try fail("of a group of \(written.count) batches \(tail.count) are there")
        }
        if tail.count > written.count { return try fail("a batch is there that nobody sent") }
        if !written.isEmpty { tally.count(tail.isEmpty ? .unknownWasNot : .unknownWas) }
        for (found, (request, wall)) in zip(tail, written) {
            var entry = model.decide(request, wall: wall, group: groupCount)
            entry.id = found.facts.id
            entry.leaf = found.leaf
            guard found.facts.position == entry.position,
                found.facts.receivedAt == entry.receivedAt,
                found.facts.requestDigest == (request.digest),
                found.facts.idempotencyKey == request.key.map({ "key-\($0)" }),
                found.codes.count == entry.codes.count,
                zip(found.codes, entry.codes).allSatisfy({ $0.agrees(with: $1) })
            else { return try fail("\(request.text) was unknown, and is there otherwise") }
            model.commit(entry)
        }
    }

    private func commit(_ found: Found, _ identity: Model.Identity?) {
        model.commit(
            Model.Entry(
                identity: identity, digest: found.facts.requestDigest, codes: found.codes,
                takes: [], position: found.facts.position, receivedAt: found.facts.receivedAt,
                group: groupCount, id: found.facts.id, leaf: found.leaf))
    }
}
