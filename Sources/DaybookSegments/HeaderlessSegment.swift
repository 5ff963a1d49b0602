import Avro
import DaybookLog

/// A closed segment whose header cannot be read, and of which all else holds.
///
/// What its header said follows from the segment before it, and is not taken on trust: the blocks
/// are read from there on, each by its checksums and the tree's root after it, and they have to end
/// where the next segment begins.
struct HeaderlessSegment {
    let file: SegmentFile
    /// Why its header cannot be read.
    let reason: String
    /// The state after its last block.
    private let end: ChainState

    /// Nil if its blocks do not hold, or do not follow the segment before.
    ///
    /// - Parameter previous: nil for the ledger's first segment.
    /// - Parameter ledger: whose it must be; nil if nobody knows.
    /// - Parameter schemas: those of other segments. One of them is taken for a damaged Avro header
    ///   if the segment's header is whole and has its digest: rows read by a schema that only looks
    ///   alike would be other rows.
    static func find(
        _ name: String, fault: any Error, after previous: SegmentFile?, ledger: LedgerID?,
        schemas: [LogSchema], disk: any LogDisk
    ) throws(DiskError) -> HeaderlessSegment? {
        do {
            let proven = try proven(schemas, by: name, disk: disk)
            let lost = try LostHeader(name, disk: disk, ledger: previous?.header.ledger ?? ledger)
            guard let found = try lost.segment(schemas: proven),
                let header = try header(found.header, after: previous, disk: disk),
                SegmentFile.name(basePosition: header.basePosition) == name
            else { return nil }
            let file = SegmentFile(
                name: name, header: header, schema: found.schema,
                blocksOffset: found.blocksOffset, isHeaderLost: true)
            let tail = try SegmentTail(file, file: try disk.open(name, .read))
            return HeaderlessSegment(
                file: file, reason: words(fault), end: tail.scanner.state)
        } catch SegmentFault.disk(let error) {
            throw error
        } catch let error as DiskError {
            throw error
        } catch {
            return nil
        }
    }

    /// What its blocks do not say is as the segment before it ends.
    private static func header(
        _ found: SegmentHeader, after previous: SegmentFile?, disk: any LogDisk
    ) throws -> SegmentHeader? {
        var header = found
        guard let previous else {
            header.basePosition = 0
            header.firstBlock = 0
            header.epoch = 0
            return header.segment == 0 ? header : nil
        }
        let state = try SegmentTail(previous, file: try disk.open(previous.name, .read))
            .scanner.state
        header.basePosition = state.position
        header.firstBlock = state.nextBlock
        header.epoch = state.epoch
        header.lastReceivedAt = state.lastReceivedAt
        header.frontier = state.frontier
        return header.segment == state.segment + 1 ? header : nil
    }

    private static func proven(
        _ schemas: [LogSchema], by name: String, disk: any LogDisk
    ) throws -> [LogSchema] {
        let window = FileWindow(try disk.open(name, .read))
        defer { withExtendedLifetime(window) {} }
        let front = try window.bytes(at: 0, count: SegmentHeader.maximumByteCount)
        guard let header = try? SegmentHeader.read(front).0 else { return [] }
        return schemas.filter {
            SegmentFile.avroHeader($0, sync: header.sync)
                .withUnsafeBytes { Digest(of: $0) } == header.schemaDigest
        }
    }

    /// What is shown of it while its rows are served.
    var damage: Corruption {
        Corruption(
            file: file.name, offset: 0, position: file.header.basePosition,
            what: HeaderlessSegment.served(reason))
    }

    /// Whether nothing is missing at its end.
    func ends(before next: SegmentHeader) -> Bool {
        next.head == end.head && next.firstBlock == end.nextBlock
            && next.lastReceivedAt == end.lastReceivedAt && next.epoch >= end.epoch
    }

    /// What is wrong with a segment that cannot be opened, for people.
    static func words(_ fault: any Error) -> String {
        "its header cannot be read: \(FaultText.of(fault))"
    }

    /// The same, where it is known that all rows are there.
    static func served(_ words: String) -> String { words + "; all its rows can be" }
}
