import DaybookLog
import Postgres

/// Following: what comes after that of which the new tables were filled.
extension Rebuild {
    /// New tables that have come so near to the live ones wait no longer: the rest is applied
    /// while the projector waits.
    private static let nearEventCount: Int64 = 20_000

    /// Applies what was appended meanwhile, until little is missing; or everything up to the state
    /// that is to be built.
    func approach(_ head: inout TreeHead, _ connection: PostgresConnection) throws {
        func inTransaction(_ work: () throws -> Void) throws {
            try connection.transaction { try work() }
        }
        if let target = options.target {
            if head.position < target.position {
                try follow(
                    &head, to: target.position, try source(), connection,
                    inTransaction: inTransaction)
            }
            return
        }
        while true {
            let log = try source()
            let live = try Checkpoints.load(connection, ledger: log.ledger)[name]
            let target =
                live.flatMap { $0.state == .running && $0.shape == shape ? $0.head.position : nil }
                ?? log.durable.position
            if head.position + Rebuild.nearEventCount >= min(target, log.durable.position) {
                return
            }
            try follow(
                &head, to: min(target, log.durable.position), log, connection,
                inTransaction: inTransaction)
        }
    }

    /// Applies the log from `head` to `target`, which lies between two batches.
    func follow(
        _ head: inout TreeHead, to target: Position, _ log: any LogSource,
        _ connection: PostgresConnection, inTransaction: (() throws -> Void) throws -> Void
    ) throws {
        guard let end = try log.place(of: target).head else {
            throw RebuildError.contradiction("position \(target) lies inside a batch")
        }
        let transcoders = TranscoderSet(catalog: catalog)
        while head.position < target {
            if isStopping() { throw RebuildError.stopped }
            say(.following, head.position, of: target)
            let blocks = try log.blocks(from: head.position, byteLimit: 4 << 20)
                .prefix { $0.firstPosition < target }
            guard let first = blocks.first, let last = blocks.last else {
                preconditionFailure("there is a block before every position of the log")
            }
            precondition(first.firstPosition <= head.position, "no position is passed over")
            let reached = last.endPosition <= target ? last.head : end
            try inTransaction {
                let step = ProjectionStep(
                    connection, into: ProjectionTables.destination, transcoders: transcoders,
                    participants: [.init(name: name, from: head.position)],
                    end: reached.position, retractions: .asTheyCome(log))
                try step.apply(blocks)
                try RebuildRecord.move(connection, name, .following, to: reached)
            }
            head = reached
        }
    }
}
