import DaybookLog
import Glibc

/// The newest segment, scanned to the end of what is valid in it.
struct SegmentTail {
    private(set) var scanner: SegmentScanner
    private(set) var contents = SegmentContents()
    /// Why the scan stopped before the end of the file, in words.
    private(set) var faultText: String?
    /// Roots at the ends of blocks, to compare with what others knew.
    private var roots: [Position: Digest]
    /// Where blocks end, in order.
    private(set) var ends: [BlockEnd] = []

    /// The end of a block: what is durable if the block is.
    struct BlockEnd {
        let head: TreeHead
        let receivedAt: Microseconds
        let offset: UInt64
    }

    /// Scans the segment. `visit` sees every valid block, and the state before it.
    init(
        _ segment: SegmentFile, file: any DiskFile,
        visit: (ScannedBlock, ChainState) -> Void = { _, _ in }
    ) throws {
        scanner = SegmentScanner(segment, file: file)
        roots = [segment.header.basePosition: segment.header.frontier.root]
        do {
            var before = scanner.state
            while let found = try scanner.next() {
                visit(found, before)
                before = scanner.state
                contents.add(found.header, entries: found.entries)
                roots[found.header.endPosition] = found.header.rootAfter
                ends.append(
                    BlockEnd(
                        head: scanner.state.head, receivedAt: found.header.lastReceivedAt,
                        offset: scanner.offset))
            }
        } catch SegmentFault.disk(let error) {
            throw error
        } catch SegmentFault.frame(.unsupportedVersion(let version)) {
            // Not damage: a younger program wrote it, and must be the one to go on.
            throw LogError.unsupportedVersion(file: segment.name, version: version)
        } catch {
            faultText = FaultText.of(error)
        }
    }

    /// Looks behind the first invalid frame for frames that were written only after it was durable.
    ///
    /// A header counts wherever it stands: its salted checksum says that this writer wrote it.
    func evidenceInRest(file: any DiskFile, byteCount: UInt64) throws -> [Evidence] {
        let restByteCount = Int(byteCount - scanner.offset)
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: restByteCount, alignment: 16)
        defer { buffer.deallocate() }
        let count = try file.read(buffer, at: scanner.offset)
        let rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        var evidence: [Evidence] = []
        var place = 0
        while let found = SegmentTail.nextTag(in: rest, from: place) {
            place = found + 1
            guard found >= 8 else { continue }
            let frame = UnsafeRawBufferPointer(rebasing: rest[(found - 8)...])
            if let witness = witness(frame) { evidence.append(witness) }
        }
        return evidence
    }

    private func witness(_ frame: UnsafeRawBufferPointer) -> Evidence? {
        let salt = scanner.segment.header.salt
        let state = scanner.state
        if let header = try? BlockHeader(reading: frame, salt: salt) {
            guard header.ledger == state.ledger, header.segment == state.segment,
                header.block > state.nextBlock
            else { return nil }
            return Evidence(
                source: .laterBlock, position: max(header.firstPosition, state.position + 1),
                root: nil)
        }
        if let attestation = try? Attestation(reading: frame, salt: salt) {
            guard attestation.ledger == state.ledger, attestation.position > state.position else {
                return nil
            }
            return Evidence(
                source: .attestation, position: attestation.position, root: attestation.root)
        }
        if let (footer, _) = try? Footer.read(frame, salt: salt),
            footer.ledger == state.ledger, footer.endPosition > state.position
        {
            return Evidence(
                source: .attestation, position: footer.endPosition, root: footer.root)
        }
        return nil
    }

    private static func nextTag(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        let tag = Array("DAYBK".utf8)
        var place = start
        while place + tag.count <= bytes.count, let base = bytes.baseAddress {
            guard let found = memchr(base + place, Int32(tag[0]), bytes.count - place) else {
                return nil
            }
            place = base.distance(to: UnsafeRawPointer(found))
            if bytes[place...].starts(with: tag) { return place }
            place += 1
        }
        return nil
    }

    /// Sorts evidence into what is ahead of this tail, and what contradicts it.
    ///
    /// What is durable ends with a block, so a root at a place in this segment that is no block's
    /// end contradicts it too.
    ///
    /// - Parameter bases: the roots at which the segments before this one begin.
    func judge(
        _ evidence: [Evidence], bases: [Position: Digest], hasInvalidRest: Bool
    ) -> RecoveryFindings {
        var findings = RecoveryFindings(hasInvalidRest: hasInvalidRest, ahead: [], forked: [])
        for witness in evidence {
            if witness.position > scanner.state.position {
                findings.ahead.insert(witness.source)
            } else if let root = witness.root {
                let isHere = witness.position >= scanner.segment.header.basePosition
                let own = roots[witness.position] ?? bases[witness.position]
                if own != root, isHere || own != nil { findings.forked.insert(witness.source) }
            }
        }
        return findings
    }
}
