import DaybookLog

/// A log of made-up events for a trial of a disk: what every event holds follows from its position,
/// so that whoever reads it later knows what must stand there.
public enum TrialLog {
    /// What a writer said to be durable: that many events, with this root over them.
    public struct Acknowledgement: Sendable, Equatable {
        /// The next position.
        public let position: Position
        /// The root over all before it.
        public let root: Digest

        /// Of a state that a sync has returned for.
        public init(_ head: TreeHead) {
            position = head.position
            root = head.root
        }

        /// How many bytes `bytes` are.
        public static let byteCount = 40

        /// Position and root, as they go through a pipe.
        public var bytes: [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: position >> (8 * $0)) } + root.bytes
        }

        /// Reads `bytes` again; there must be `byteCount` of them.
        public init(_ bytes: ArraySlice<UInt8>) {
            precondition(bytes.count == Acknowledgement.byteCount, "a whole acknowledgement")
            var number: Int64 = 0
            for byte in bytes.prefix(8).reversed() { number = number << 8 | Int64(byte) }
            position = number
            root = Array(bytes.dropFirst(8)).withUnsafeBytes { Digest($0) }
        }
    }

    /// Small segments, so that a trial sees many of them made.
    private static let segmentByteCount: UInt64 = 1 << 20

    /// Opens or makes the log of a data folder, as the server does.
    ///
    /// - Throws: `LogError`, as `SegmentLog.open`.
    public static func open(folder: String) throws(LogError) -> SegmentLog {
        guard let schema = try? LogSchema(recordSchemas: []) else {
            preconditionFailure("a schema without tables is one")
        }
        var options = SegmentLogOptions(schema: schema, clock: { 1 })
        options.segmentByteCount = segmentByteCount
        options.recentByteCount = 0
        return try SegmentLog.open(folder: folder, options: options)
    }

    /// Appends one block of `byteCount` bytes or little more; returns when it is durable.
    ///
    /// - Throws: `LogError`, as `SegmentLog.append`.
    public static func append(
        to log: SegmentLog, byteCount: Int
    ) throws(LogError) -> Acknowledgement {
        var builder = BlockBuilder(schema: log.schema, capacity: byteCount + 512)
        let position = log.durable.position
        let time = log.lastReceivedAt + 1
        let facts = BatchFacts(
            position: position, receivedAt: time, clock: time,
            id: "00000000-0000-7000-8000-000000000000", source: "system", principal: "trial",
            dictionary: "", table: "", format: "control")
        let branch = log.schema.controlBranch
        let leaf = builder.append(facts, rowCount: 1, rejectedCount: 0) { sink in
            let text = DiskProbe.bytes(count: byteCount, at: Int(position))
            sink.append(control: Control(kind: "trial", text: text), branch: branch)
        }
        precondition(leaf != nil, "a trial's blocks are small")
        return Acknowledgement(try log.append(builder).head)
    }

    /// Opens the log again and looks for what was acknowledged.
    ///
    /// - Parameter start: where the writer began: below it nothing is read.
    /// - Returns: what is not there or not as it was, in words, and whether a torn tail was cut.
    public static func check(
        folder: String, from start: Position, _ acknowledged: [Acknowledgement]
    ) throws(LogError) -> (losses: [String], isTorn: Bool) {
        let log: SegmentLog
        do {
            log = try open(folder: folder)
        } catch {
            guard case .corrupt(let corruption) = error else { throw error }
            return (["the log is corrupt: \(corruption.file): \(corruption.what)"], false)
        }
        var losses = log.recovery.damage.map { "\($0.file) is damaged: \($0.what)" }
        let isTorn = log.recovery.cut != nil
        if let last = acknowledged.last, last.position > log.durable.position {
            losses.append(
                "events up to position \(last.position) were acknowledged, and the log ends at "
                    + "\(log.durable.position)")
        }
        do {
            losses += try differences(log, from: start, acknowledged)
        } catch {
            losses.append("reading it again: \(error)")
        }
        try log.close()
        return (losses, isTorn)
    }

    private static func differences(
        _ log: SegmentLog, from start: Position, _ acknowledged: [Acknowledgement]
    ) throws -> [String] {
        var roots: [Position: Digest] = [:]
        var losses: [String] = []
        var position = start
        while position < log.durable.position {
            for block in try log.blocks(from: position, byteLimit: 1 << 20) {
                roots[block.endPosition] = block.head.root
                try block.forEachBatch { reader in
                    let position = reader.facts.position
                    guard try reader.nextBranch() != nil else { return }
                    let text = try reader.readControl().text
                    if text != DiskProbe.bytes(count: text.count, at: Int(position)) {
                        losses.append("the event at position \(position) is not what was written")
                    }
                }
                position = block.endPosition
            }
        }
        for one in acknowledged where one.position <= log.durable.position {
            if roots[one.position] != one.root {
                losses.append("position \(one.position) has another root than was acknowledged")
            }
        }
        return losses
    }
}
