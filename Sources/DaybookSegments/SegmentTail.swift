import DaybookLog

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
        visit: (ScannedBlock, ChainState) throws -> Void = { _, _ in }
    ) throws {
        scanner = SegmentScanner(segment, file: file)
        roots = [segment.header.basePosition: segment.header.frontier.root]
        do {
            var before = scanner.state
            while let found = try scanner.next() {
                try visit(found, before)
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
        } catch let fault as SegmentFault {
            faultText = FaultText.of(fault)
        }
    }

    /// Looks behind the first invalid frame for frames that were written only after it was durable.
    ///
    /// A header counts wherever it stands: its salted checksum says that this writer wrote it.
    func evidenceInRest(file: any DiskFile, byteCount: UInt64) throws -> [Evidence] {
        let search = FrameSearch(file)
        let frames = FileWindow(file)
        var evidence: [Evidence] = []
        var place = scanner.offset
        do {
            while let found = try search.next(from: place, to: byteCount) {
                place = found + 1
                if let witness = try witness(at: found, in: frames) { evidence.append(witness) }
            }
        } catch SegmentFault.disk(let error) {
            throw error
        }
        return evidence
    }

    private func witness(
        at offset: UInt64, in window: FileWindow
    ) throws(SegmentFault) -> Evidence? {
        let salt = scanner.segment.header.salt
        let state = scanner.state
        let frame = try window.bytes(at: offset, count: BlockHeader.frameByteCount)
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
        guard frame.count >= 4,
            UInt32(littleEndian: frame.loadUnaligned(as: UInt32.self)) == FrameMagic.footer
        else { return nil }
        let whole = try window.bytes(at: offset, count: Footer.maximumByteCount)
        if let (footer, _) = try? Footer.read(whole, salt: salt),
            footer.ledger == state.ledger, footer.endPosition > state.position
        {
            return Evidence(
                source: .attestation, position: footer.endPosition, root: footer.root)
        }
        return nil
    }

    /// Scans a segment that a writer may be adding to, and says what follows the first invalid
    /// frame.
    ///
    /// A frame that was half written when the scan met it may be whole, with others behind it, when
    /// the rest is looked at: that is no damage. So the scan is made again as long as it gets
    /// further, and what it met last is what counts.
    static func settled(
        _ segment: SegmentFile, file: any DiskFile,
        visit: (ScannedBlock, ChainState) throws -> Void = { _, _ in }
    ) throws -> (tail: SegmentTail, evidence: [Evidence], byteCount: UInt64) {
        var tail = try SegmentTail(segment, file: file, visit: visit)
        while true {
            // Asked for after the scan: a segment that is being written grows meanwhile.
            let byteCount = max(try file.byteCount(), tail.scanner.offset)
            guard tail.faultText != nil else { return (tail, [], byteCount) }
            let evidence = try tail.evidenceInRest(file: file, byteCount: byteCount)
            if evidence.isEmpty { return (tail, [], byteCount) }
            let again = try SegmentTail(segment, file: file, visit: visit)
            if again.scanner.offset <= tail.scanner.offset { return (again, evidence, byteCount) }
            tail = again
        }
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
