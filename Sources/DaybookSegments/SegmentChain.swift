import DaybookLog

/// The segments of a folder in order, each checked against its neighbours.
struct SegmentChain {
    let disk: any LogDisk
    /// Ranges that cannot be read; they do not stop appends.
    private(set) var damage: [Corruption] = []

    /// Segments that are whole and have no footer.
    private var unsealed: [SegmentTail] = []

    init(disk: any LogDisk) {
        self.disk = disk
    }

    /// Opens every segment's headers and checks that no segment is missing, foreign or twice there.
    /// `known` is the schema that they probably have.
    static func files(
        names: [String], disk: any LogDisk, known: LogSchema? = nil
    ) throws -> [SegmentFile] {
        let segmentNames = names.filter { SegmentFile.basePosition(name: $0) != nil }.sorted()
        var files: [SegmentFile] = []
        for name in segmentNames {
            do {
                files.append(
                    try SegmentFile.open(
                        name, on: disk, known: files.last?.schema ?? known
                    ).0)
            } catch SegmentFault.disk(let error) {
                throw error
            } catch SegmentFault.frame(.unsupportedVersion(let version)) {
                throw LogError.unsupportedVersion(file: name, version: version)
            } catch {
                throw corrupt(name, what: FaultText.of(error))
            }
        }
        if let first = files.first?.header, first.segment == 0 {
            guard first.basePosition == 0, first.firstBlock == 0, first.frontier.size == 0,
                first.lastReceivedAt == 0
            else { throw corrupt(files[0].name, what: "the first segment begins in mid-ledger") }
        }
        for (number, file) in files.enumerated() {
            guard file.header.ledger == files[0].header.ledger else {
                throw corrupt(file.name, what: "it belongs to ledger \(file.header.ledger)")
            }
            guard file.header.segment == UInt64(number) else {
                throw corrupt(
                    file.name, what: "segment \(number) is missing: this is \(file.header.segment)")
            }
        }
        return files
    }

    private static func corrupt(_ name: String, what: String) -> LogError {
        let position = SegmentFile.basePosition(name: name) ?? 0
        return .corrupt(Corruption(file: name, offset: 0, position: position, what: what))
    }

    /// What readers need of sealed segments: from the footer, or by a scan where it is no good.
    mutating func readable(
        _ files: [SegmentFile], before last: SegmentHeader
    ) throws -> [ReadableSegment] {
        var segments: [ReadableSegment] = []
        for (place, file) in files.enumerated() {
            let next = place + 1 < files.count ? files[place + 1].header : last
            segments.append(try readable(file, next: next))
        }
        return segments
    }

    private mutating func readable(
        _ segment: SegmentFile, next: SegmentHeader
    ) throws -> ReadableSegment {
        let file = try disk.open(segment.name, .read)
        if let footer = try footer(of: segment, file: file) {
            guard footer.endPosition == next.basePosition, footer.root == next.frontier.root,
                footer.treeSize == next.frontier.size,
                footer.lastReceivedAt == next.lastReceivedAt,
                segment.header.firstBlock + footer.blockCount == next.firstBlock,
                segment.header.epoch <= next.epoch
            else {
                throw LogError.corrupt(
                    Corruption(
                        file: segment.name, offset: footer.offset, position: footer.endPosition,
                        what: "it does not end where segment \(next.segment) begins"))
            }
            return ReadableSegment(
                file: segment, contents: SegmentContents(footer), endPosition: footer.endPosition,
                endOffset: footer.offset)
        }
        let tail = try SegmentTail(segment, file: file)
        if tail.scanner.state.head != next.head {
            damage.append(
                Corruption(
                    file: segment.name, offset: tail.scanner.offset,
                    position: tail.scanner.state.position,
                    what: tail.faultText
                        ?? "it ends before segment \(next.segment) begins"))
        } else if tail.faultText == nil {
            unsealed.append(tail)
        }
        return ReadableSegment(
            file: segment, contents: tail.contents, endPosition: next.basePosition,
            endOffset: tail.scanner.offset)
    }

    /// Writes the footers that a crash or a full disk left out. Where there is no space, there is
    /// none again.
    func sealUnsealed() throws {
        for tail in unsealed {
            let scanner = tail.scanner
            let file = try disk.open(scanner.segment.name, .readWrite)
            guard try file.byteCount() == scanner.offset else { continue }
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
