import Avro
import DaybookLog

/// Inputs of the block target: the golden log, and small pieces of every kind.
enum BlockSeeds {
    static func make(golden: [[UInt8]]) throws -> [(name: String, bytes: [UInt8])] {
        var seeds: [(String, [UInt8])] = []
        let plain = golden.map(withoutContentChecksums)
        let all: UInt8 = 0x1F
        seeds.append(("golden", folder(.folder, nil, golden)))
        seeds.append(("golden-headless", folder(.folder, nil, golden.dropLast())))
        seeds.append(("golden-first", folder(.repaired, 1, [golden[0]])))
        seeds.append(("golden-plain", folder(.repaired, all, plain)))
        seeds.append(("golden-plain-first", folder(.repaired, all, [plain[0]])))
        seeds.append(("golden-plain-tail", folder(.repaired, all, [plain[0], plain[1]])))
        seeds.append(("golden-places", folder(.repaired, 0x13, [plain[0]])))
        let records = try records()
        var contents: [UInt8] = [BlockTarget.Mode.contents.rawValue]
        for record in records {
            contents += [1, UInt8(record.count & 0xFF), UInt8(record.count >> 8)] + record
        }
        seeds.append(("contents", contents))
        let joined = records.joined()
        seeds.append(
            (
                "contents-group",
                [BlockTarget.Mode.contents.rawValue, UInt8(records.count)]
                    + [UInt8(joined.count & 0xFF), UInt8(joined.count >> 8)] + joined
            ))
        seeds.append(("records", [BlockTarget.Mode.records.rawValue] + joined))
        for (number, frame) in frames(golden[0]).enumerated() {
            seeds.append(("frame-\(number)", [BlockTarget.Mode.frames.rawValue] + frame))
        }
        seeds.append(("lz4", lz4(Array(repeating: UInt8(ascii: "a"), count: 600))))
        seeds.append(("lz4-records", lz4(Array(joined))))
        for json in [BlockSamples.schema.json, BlockSamples.readings] {
            seeds.append(("schema-\(json.count)", [BlockTarget.Mode.schema.rawValue] + json.utf8))
        }
        return seeds
    }

    private static func folder(
        _ mode: BlockTarget.Mode, _ parts: UInt8?, _ files: [[UInt8]]
    ) -> [UInt8] {
        let counts = [files[0].count, files.count > 1 ? files[1].count : 0]
        let lengths = counts.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        return [mode.rawValue] + (parts.map { [$0] } ?? []) + lengths + files.joined()
    }

    /// One record of every kind of row.
    private static func records() throws -> [[UInt8]] {
        let schema = BlockSamples.schema
        let jobs = AvroEncoder(try AvroSchema(json: BlockSamples.jobs))
        let readings = AvroEncoder(try AvroSchema(json: BlockSamples.readings))
        var rows: [[UInt8]] = []
        var sink = ByteSink()
        sink.append(control: Control(kind: "genesis", refersTo: [0..<1], text: [1]), branch: 3)
        rows.append(Array(sink.unsafeBytes))
        sink.removeAll()
        sink.append(long: 0)
        try jobs.encode(.record([.long(1), .string("clerk")]), into: &sink)
        rows.append(Array(sink.unsafeBytes))
        sink.removeAll()
        sink.append(long: 1)
        try readings.encode(
            .record([.long(-1), .union(1, .double(2.5)), .union(0, .null)]), into: &sink)
        rows.append(Array(sink.unsafeBytes))
        sink.removeAll()
        let reasons = [Rejection.Reason(code: "wrong_type", column: "id", message: "no")]
        sink.append(
            rejection: Rejection(
                raw: [], rawLength: 9, reasons: reasons, digest: [UInt8](0..<32)),
            branch: schema.rejectionBranch, keepsDigests: true)
        sink.append(
            rejection: Rejection(raw: [0x7B, 0x7D], rawLength: nil, reasons: reasons),
            branch: schema.rejectionBranch, keepsDigests: true)
        rows.append(Array(sink.unsafeBytes))
        var position: Position = 0
        return try rows.enumerated().map { number, bytes in
            let count = number == 3 ? 2 : 1
            defer { position += Position(count) }
            return try record(bytes, rowCount: count, at: position)
        }
    }

    private static func record(
        _ rows: [UInt8], rowCount: Int, at position: Position
    ) throws -> [UInt8] {
        var builder = BlockBuilder(schema: BlockSamples.schema)
        let facts = BatchFacts(
            position: position, receivedAt: 10 + position, clock: 10,
            id: "0190a000-0000-7000-8000-000000000000", source: "http", principal: "p",
            idempotencyKey: position == 1 ? "k" : nil, requestDigest: [1, 2], dictionary: "v",
            table: "jobs", format: "csv", firstLine: 2, lineSkips: [LineSkip(row: 0, lines: 1)],
            corrects: [Correction(row: 0, position: 0)])
        _ = builder.append(facts, rowCount: rowCount, rejectedCount: 0) { $0.append(raw: rows) }
        let (content, _) = builder.finish(sync: [])
        return try content.bytes.withUnsafeBytes(in: content.start..<content.bytes.count) {
            var cursor = ByteCursor($0)
            _ = try cursor.readLong()
            return Array(try cursor.readBytes())
        }
    }

    private static func frames(_ segment: [UInt8]) -> [[UInt8]] {
        let none = Digest(of: UnsafeRawBufferPointer(start: nil, count: 0))
        let head = TreeHead(ledger: BlockSamples.ledger, size: 3, position: 7, root: none)
        var attestation = ByteSink()
        Attestation(segment: 0, offset: 900, head: head)
            .append(to: &attestation, salt: BlockSamples.salt)
        var footer = ByteSink()
        Footer(
            segment: 0, offset: 900, basePosition: 0, blockCount: 2, firstReceivedAt: 1,
            lastReceivedAt: 9, head: head,
            counts: [TableCount(table: "jobs", accepted: 6, rejected: 1)],
            index: [IndexEntry(position: 0, receivedAt: 1, offset: 300)]
        ).append(to: &footer, salt: BlockSamples.salt)
        return [
            Array(segment.prefix(200)), Array(BlockSamples.block([], batchCount: 1).prefix(188)),
            Array(attestation.unsafeBytes), Array(footer.unsafeBytes),
        ]
    }

    private static func lz4(_ content: [UInt8]) -> [UInt8] {
        var compressor = LZ4Compressor()
        var sink = ByteSink()
        content.withUnsafeBytes { compressor.compress($0, into: &sink) }
        let count = content.count
        return [BlockTarget.Mode.lz4.rawValue, UInt8(count >> 8 & 0xFF), UInt8(count >> 16)]
            + [UInt8(count & 0xFF)] + withoutContentChecksum(Array(sink.unsafeBytes))
    }

    // MARK: LZ4 frames that say nothing of their content

    /// A segment (or a file that is none) whose LZ4 frames have no content checksums, so that what
    /// is changed in them is decompressed.
    private static func withoutContentChecksums(_ segment: [UInt8]) -> [UInt8] {
        let magic: [UInt8] = [0x04, 0x22, 0x4D, 0x18]
        guard segment.starts(with: [0x50]) else { return segment }
        var output: [UInt8] = []
        var place = 0
        var lengthPlaces: [Int] = []
        while place < segment.count {
            if segment[place...].starts(with: magic) {
                let count = lz4ByteCount(segment[place...])
                output += withoutContentChecksum(Array(segment[place..<(place + count)]))
                // The length stands in the header before: of the schema, or of the block.
                if let at = lengthPlaces.last { shorten(&output, at: at) }
                place += count
            } else {
                let kind = segment[place]
                let low = Int(segment[place + 4]) | Int(segment[place + 5]) << 8
                let count = 8 + low
                lengthPlaces.append(output.count + (kind == 0x50 ? 152 : 100))
                output += segment[place..<(place + count)]
                place += count
            }
        }
        return output
    }

    private static func shorten(_ bytes: inout [UInt8], at place: Int) {
        let length = Int(bytes[place]) | Int(bytes[place + 1]) << 8
        bytes[place] = UInt8((length - 4) & 0xFF)
        bytes[place + 1] = UInt8((length - 4) >> 8)
    }

    private static func lz4ByteCount(_ frame: ArraySlice<UInt8>) -> Int {
        var place = frame.startIndex + 15
        while true {
            var size = 0
            for byte in frame[place..<(place + 4)].reversed() { size = size << 8 | Int(byte) }
            place += 4
            if size == 0 { return place + 4 - frame.startIndex }
            place += size & 0x7FFF_FFFF
        }
    }

    private static func withoutContentChecksum(_ frame: [UInt8]) -> [UInt8] {
        var frame = Array(frame.dropLast(4))
        frame[4] &= ~0x04
        frame[14] = XXH32.checkByte(of: frame[4..<14])
        return frame
    }
}
