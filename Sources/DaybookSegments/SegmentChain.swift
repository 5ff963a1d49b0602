import DaybookLog

/// The segments of a folder in order, each checked against its neighbours.
struct SegmentChain {
    let disk: any LogDisk
    /// Ranges that cannot be read; they do not stop appends.
    private(set) var damage: [Corruption] = []

    /// A closed segment whose footer contradicts the next one's header: no log is opened then.
    private(set) var mismatch: Corruption?

    /// Segments that hold all that they should, and do not end with a footer.
    private var unsealed: [SegmentTail] = []

    init(disk: any LogDisk) {
        self.disk = disk
    }

    /// The segments in order up to the first that is missing, damaged or foreign.
    struct Found {
        var files: [SegmentFile] = []
        /// What is wrong with the next one; nil if all are there.
        var fault: LogError?
    }

    /// Opens every segment's headers and checks that no segment is missing, foreign or twice there.
    ///
    /// - Parameter witness: whose ledger the head file is, which decides if segments are of two.
    /// - Parameter known: a schema that the first segment probably has.
    static func find(
        names: [String], disk: any LogDisk, witness: LedgerID?, known: LogSchema? = nil
    ) throws -> Found {
        let segmentNames = names.filter { SegmentFile.basePosition(name: $0) != nil }.sorted()
        var opened = Found()
        var faultName: (name: String, what: String)?
        for name in segmentNames {
            do {
                let schema = opened.files.last?.schema ?? known
                opened.files.append(try SegmentFile.open(name, on: disk, known: schema).0)
            } catch SegmentFault.disk(let error) {
                throw error
            } catch SegmentFault.frame(.unsupportedVersion(let version)) {
                opened.fault = .unsupportedVersion(file: name, version: version)
            } catch {
                faultName = (name, FaultText.of(error))
            }
            if opened.fault != nil || faultName != nil { break }
        }
        let headers = opened.files.map(\.header)
        let isOfOne = headers.allSatisfy { $0.ledger == headers[0].ledger }
        let ledger = isOfOne ? headers.first?.ledger : witness ?? headers[0].ledger
        for (number, file) in opened.files.enumerated() {
            guard let what = misfit(file, number: UInt64(number), ledger: ledger) else { continue }
            opened.files.removeSubrange(number...)
            let end = try endPosition(of: opened.files.last, disk: disk)
            let isMissing = file.header.ledger == ledger && file.header.segment > UInt64(number)
            let name = isMissing ? SegmentFile.name(basePosition: end) : file.name
            opened.fault = corrupt(name, position: end, what: what)
            return opened
        }
        if let (name, what) = faultName {
            let end = try endPosition(of: opened.files.last, disk: disk)
            opened.fault = corrupt(name, position: end, what: what)
        }
        return opened
    }

    /// Why a segment that is valid in itself is not number `number` of the ledger.
    private static func misfit(_ file: SegmentFile, number: UInt64, ledger: LedgerID?) -> String? {
        let header = file.header
        if header.ledger != ledger { return "it belongs to ledger \(header.ledger)" }
        if header.segment > number {
            return "segment \(number) is missing: \(file.name) is segment \(header.segment)"
        }
        if header.segment < number {
            return "segment \(header.segment) is there again, where segment \(number) should be"
        }
        if number > 0 { return nil }
        let isFirst =
            header.basePosition == 0 && header.firstBlock == 0 && header.frontier.size == 0
            && header.lastReceivedAt == 0
        return isFirst ? nil : "the first segment begins in mid-ledger"
    }

    /// The position after the last event of a segment, as far as it is valid; 0 for none.
    private static func endPosition(of file: SegmentFile?, disk: any LogDisk) throws -> Position {
        guard let file else { return 0 }
        let handle = try disk.open(file.name, .read)
        if let footer = try SegmentChain(disk: disk).footer(of: file, file: handle) {
            return footer.endPosition
        }
        return try SegmentTail(file, file: handle).scanner.state.position
    }

    private static func corrupt(_ name: String, position: Position, what: String) -> LogError {
        .corrupt(Corruption(file: name, offset: 0, position: position, what: what))
    }

    /// What readers need of sealed segments: from the footer, or by a scan where it is no good.
    ///
    /// Ends early, with `mismatch` set, where a segment's footer contradicts the one after it.
    mutating func readable(
        _ files: [SegmentFile], before last: SegmentHeader
    ) throws -> [ReadableSegment] {
        var segments: [ReadableSegment] = []
        for (place, file) in files.enumerated() {
            let next = place + 1 < files.count ? files[place + 1].header : last
            segments.append(try readable(file, next: next))
            if mismatch != nil { break }
        }
        return segments
    }

    private mutating func readable(
        _ segment: SegmentFile, next: SegmentHeader
    ) throws -> ReadableSegment {
        let file = try disk.open(segment.name, .read)
        if let footer = try footer(of: segment, file: file) {
            let fits =
                footer.endPosition == next.basePosition && footer.root == next.frontier.root
                && footer.treeSize == next.frontier.size
                && footer.lastReceivedAt == next.lastReceivedAt
                && segment.header.firstBlock + footer.blockCount == next.firstBlock
                && segment.header.epoch <= next.epoch
            if !fits {
                mismatch = Corruption(
                    file: segment.name, offset: footer.offset, position: footer.endPosition,
                    what: "it does not end where segment \(next.segment) begins")
            }
            return ReadableSegment(
                file: segment, contents: SegmentContents(footer), endPosition: footer.endPosition,
                endOffset: footer.offset)
        }
        let tail = try SegmentTail(segment, file: file)
        guard tail.scanner.state.head == next.head else {
            damage.append(
                Corruption(
                    file: segment.name, offset: tail.scanner.offset,
                    position: tail.scanner.state.position,
                    what: tail.faultText
                        ?? "it ends before segment \(next.segment) begins"))
            // There may be whole blocks behind the damage: readers look for them.
            return ReadableSegment(
                file: segment, contents: tail.contents, endPosition: next.basePosition,
                endOffset: try file.byteCount())
        }
        unsealed.append(tail)
        return ReadableSegment(
            file: segment, contents: tail.contents, endPosition: next.basePosition,
            endOffset: tail.scanner.offset)
    }

    /// Writes the footers that a crash, a full disk or rot left out. Where there is no space, there
    /// is none again.
    ///
    /// What stands in a footer's place is no part of the log, since the header of the next segment
    /// has the state before it: it is kept aside and cut off.
    func sealUnsealed() throws {
        for tail in unsealed {
            let scanner = tail.scanner
            let file = try disk.open(scanner.segment.name, .readWrite)
            let byteCount = try file.byteCount()
            do throws(DiskError) {
                if byteCount > scanner.offset {
                    _ = try TornBytes.cut(
                        scanner.offset..<byteCount, of: scanner.segment.name, file: file,
                        on: disk)
                }
            } catch {
                guard case .diskFull = LogError(error) else { throw error }
                continue
            }
            if scanner.footer != nil { continue }
            var writer = SegmentWriter(
                scanner.segment, file: file, epoch: scanner.state.epoch, offset: scanner.offset,
                state: scanner.state, isAttested: true, contents: tail.contents)
            _ = try writer.seal()
        }
    }

    /// The footer, if the segment ends with a valid one.
    private func footer(of segment: SegmentFile, file: any DiskFile) throws -> Footer? {
        let byteCount = try file.byteCount()
        let trailerByteCount = UInt64(Footer.trailerByteCount)
        guard byteCount > segment.blocksOffset + trailerByteCount else { return nil }
        let window = FileWindow(file)
        do {
            let trailer = try window.bytes(
                at: byteCount - trailerByteCount, count: Footer.trailerByteCount)
            let offset = UInt64(littleEndian: trailer.loadUnaligned(as: UInt64.self))
            guard offset >= segment.blocksOffset, offset < byteCount - trailerByteCount,
                byteCount - offset <= UInt64(Footer.maximumByteCount)
            else { return nil }
            let bytes = try window.bytes(at: offset, count: Int(byteCount - offset))
            let (footer, frameByteCount) = try Footer.read(bytes, salt: segment.header.salt)
            guard frameByteCount == bytes.count, footer.ledger == segment.header.ledger,
                footer.segment == segment.header.segment, footer.offset == offset,
                footer.basePosition == segment.header.basePosition
            else { return nil }
            return footer
        } catch SegmentFault.disk(let error) {
            throw error
        } catch {
            return nil
        }
    }
}
