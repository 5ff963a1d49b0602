import DaybookLog

/// The segments of a folder in order, each checked against its neighbours.
struct SegmentChain {
    let disk: any LogDisk
    /// Headers and ranges that cannot be read, in order; they do not stop appends.
    private(set) var damage: [Corruption]

    /// A closed segment whose footer contradicts the next one's header: no log is opened then.
    private(set) var mismatch: Corruption?

    /// Segments that hold all that they should, and do not end with a footer.
    private var unsealed: [SegmentTail] = []

    /// - Parameter damage: that of the segments' headers.
    init(disk: any LogDisk, damage: [Corruption] = []) {
        self.disk = disk
        self.damage = damage
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
        damage.sort { $0.position < $1.position }
        return segments
    }

    private mutating func readable(
        _ segment: SegmentFile, next: SegmentHeader
    ) throws -> ReadableSegment {
        let file = try disk.open(segment.name, .read)
        if let footer = try SegmentChain.footer(of: segment, file: file) {
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
        if !segment.isHeaderLost { unsealed.append(tail) }
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
    static func footer(of segment: SegmentFile, file: any DiskFile) throws -> Footer? {
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
