import Avro
import DaybookLog
import DaybookSegments

/// What a log on a hostile disk can do to whoever opens, reads and verifies it.
///
/// The first byte chooses what the rest is: files of a folder as they are, the same with checksums
/// made valid again (`FrameRepair`), the content of blocks before compression, one frame, one LZ4
/// frame, a schema, or records.
enum BlockTarget {
    /// What the first byte of an input says about the rest.
    enum Mode: UInt8, CaseIterable {
        case folder, repaired, contents, frames, lz4, schema, records
    }

    /// Whether an input is of a mode that opens no log.
    static func isPiece(_ bytes: [UInt8]) -> Bool {
        Mode(rawValue: (bytes.first ?? 0) & 7).map { $0.rawValue >= Mode.frames.rawValue } ?? false
    }

    static func run(_ input: inout FuzzInput) throws {
        switch Mode(rawValue: input.byte() & 7) ?? .repaired {
        case .folder: try LogCheck.run(folder(&input, []))
        case .repaired:
            let parts = FrameRepair.Parts(rawValue: input.byte()).union(.checksums)
            try LogCheck.run(folder(&input, parts))
        case .contents: try contents(&input)
        case .frames: try frames(&input)
        case .lz4: try decompress(&input)
        case .schema: try schema(input.rest)
        case .records: try records(&input)
        }
    }

    /// Two segments whose lengths come first, and the head file.
    private static func folder(
        _ input: inout FuzzInput, _ parts: FrameRepair.Parts
    ) -> [String: [UInt8]] {
        let counts = [input.twoBytes(), input.twoBytes()]
        var files: [String: [UInt8]] = [:]
        for count in counts where count > 0 {
            let image = input.take(count)
            let mended = parts.isEmpty ? image : FrameRepair.repaired(image, parts)
            files[name(of: mended)] = mended
        }
        if !input.rest.isEmpty { files["HEAD"] = Array(input.rest) }
        return files
    }

    /// The name that a segment must have by its own header.
    private static func name(of image: [UInt8]) -> String {
        var position: UInt64 = 0
        for byte in image.dropFirst(44).prefix(8).reversed() {
            position = position << 8 | UInt64(byte)
        }
        let digits = String(position & UInt64(Int64.max))
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits + ".avro.lz4"
    }

    // MARK: Contents

    /// Blocks whose records are the input's, compressed and put into a valid segment.
    private static func contents(_ input: inout FuzzInput) throws {
        var image = BlockSamples.header
        while !input.rest.isEmpty {
            let batchCount = input.byte()
            let records = input.take(input.twoBytes())
            image += BlockSamples.block(records, batchCount: Int64(batchCount))
        }
        let parts: FrameRepair.Parts = [.checksums, .places, .counts, .roots]
        let mended = FrameRepair.repaired(image, parts)
        try LogCheck.run([name(of: mended): mended])
    }

    // MARK: Single pieces

    private static func frames(_ input: inout FuzzInput) throws {
        let bytes = input.rest
        let salt = BlockSamples.salt
        if let (header, byteCount) = try? SegmentHeader.read(bytes) {
            var sink = ByteSink()
            header.append(to: &sink)
            try require(
                sink.unsafeBytes.elementsEqual(bytes.prefix(byteCount)),
                "a segment header is written as it was read")
        }
        if let header = try? BlockHeader(reading: bytes, salt: salt) {
            var sink = ByteSink()
            header.append(to: &sink, salt: salt)
            try require(
                sink.unsafeBytes.elementsEqual(bytes.prefix(BlockHeader.frameByteCount)),
                "a block header is written as it was read")
            try require(
                header.endPosition > header.firstPosition, "a block has an event and ends")
        }
        if let attestation = try? Attestation(reading: bytes, salt: salt) {
            var sink = ByteSink()
            attestation.append(to: &sink, salt: salt)
            try require(
                sink.unsafeBytes.elementsEqual(bytes.prefix(Attestation.frameByteCount)),
                "an attestation is written as it was read")
        }
        if let (footer, byteCount) = try? Footer.read(bytes, salt: salt) {
            try require(byteCount <= bytes.count, "a footer lies within its bytes")
            var sink = ByteSink()
            footer.append(to: &sink, salt: salt)
            let again = try Footer.read(sink.unsafeBytes, salt: salt).footer
            try require(again == footer, "a footer is read as it was written")
        }
    }

    private static func decompress(_ input: inout FuzzInput) throws {
        // Up to 16 MiB: what a bomb may say of itself, and more than any input here has.
        let byteCount = input.twoBytes() << 8 | Int(input.byte())
        var decompressor = LZ4Decompressor()
        // A frame that failed must not speak in the next one.
        for _ in 0..<2 {
            if let content = try? decompressor.decompress(
                input.rest, contentByteCount: byteCount)
            {
                try require(content.count == byteCount, "a content has the length that was stated")
            }
        }
        var sink = ByteSink()
        var compressor = LZ4Compressor()
        compressor.compress(input.rest, into: &sink)
        let again = try decompressor.decompress(
            sink.unsafeBytes, contentByteCount: input.rest.count)
        try require(
            again.unsafeBytes.elementsEqual(input.rest), "what was compressed comes back")
    }

    private static func schema(_ bytes: UnsafeRawBufferPointer) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        if let parsed = try? AvroSchema(json: text) {
            let again = try AvroSchema(json: parsed.json)
            try require(again == parsed, "a schema's text means that schema")
        }
        if let schema = try? LogSchema(json: text) {
            let again = try LogSchema(json: schema.json)
            try require(again == schema, "a log's schema is read as it was written")
        }
    }

    private static func records(_ input: inout FuzzInput) throws {
        let schema = BlockSamples.schema
        var cursor = ByteCursor(input.rest)
        while !cursor.isAtEnd {
            var skim: BatchSkim?
            do {
                skim = try BatchSkim(at: cursor, schema: schema)
                try skim?.finish()
            } catch { skim = nil }
            guard var reader = try? BatchReader(at: cursor, schema: schema),
                let rows = try? RecordCheck.rows(&reader)
            else { return }
            try require(rows == reader.rowCount, "a batch has the rows that it says")
            let end = reader.cursor.remaining
            try require(
                skim?.cursor.remaining == end && skim?.rowCount == rows
                    && skim?.position == reader.facts.position,
                "what reads a batch and what goes over it agree")
            try RecordCheck.again(reader, from: cursor)
            cursor = reader.cursor
        }
    }
}

/// Reads records row by row.
enum RecordCheck {
    /// Reads all rows and the end of the record; how many rows there were.
    static func rows(_ reader: inout BatchReader) throws -> Int {
        var count = 0
        while let branch = try reader.nextBranch() {
            count += 1
            switch branch {
            case reader.schema.rejectionBranch: _ = try reader.readRejection()
            case reader.schema.controlBranch: _ = try reader.readControl()
            default: try reader.skipRow(branch)
            }
        }
        _ = try reader.finish()
        _ = reader.facts.line(ofRow: count)
        return count
    }

    /// Writes a record's facts and rows anew and reads them again: they are the same.
    static func again(_ reader: BatchReader, from start: ByteCursor) throws {
        guard reader.facts.position < LogLimits.numberEnd, reader.rowCount > 0 else { return }
        var first = try BatchReader(at: start, schema: reader.schema)
        let rowsStart = first.cursor.address
        // The last byte of a record ends the array of rows.
        let record = try first.finish()
        guard record.last == 0, let recordStart = record.baseAddress else { return }
        let rows = UnsafeRawBufferPointer(
            start: rowsStart, count: recordStart + record.count - 1 - rowsStart)
        var builder = BlockBuilder(schema: reader.schema)
        let leaf = builder.append(
            reader.facts, rowCount: reader.rowCount, rejectedCount: 0
        ) { $0.append(raw: rows) }
        try require(leaf != nil, "a record that was read is within its limit")
        let (content, _) = builder.finish(sync: BlockSamples.sync)
        try content.bytes.withUnsafeBytes(in: content.start..<content.bytes.count) { bytes in
            var cursor = ByteCursor(bytes)
            _ = try cursor.readLong()
            _ = try cursor.readLong()
            let again = try BatchReader(at: cursor, schema: reader.schema)
            try require(again.facts == reader.facts, "facts are read as they were written")
            try require(again.rowCount == reader.rowCount, "as many rows are read as written")
        }
    }
}
