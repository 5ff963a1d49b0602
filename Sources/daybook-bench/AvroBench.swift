import Avro
import CZlib
import DaybookCatalog
import DaybookIntake

/// Hires as another program writes them: optional fields, a field that the table does not have, and
/// the time as microseconds.
private let hireSchema = #"""
    {"type":"record","name":"Hire","fields":[
      {"name":"id","type":"long"},{"name":"name","type":["null","string"]},
      {"name":"datetime","type":{"type":"long","logicalType":"timestamp-micros"}},
      {"name":"department_id","type":["null","long"]},{"name":"job_id","type":["null","int"]},
      {"name":"ledger_position","type":"long"}]}
    """#

/// Appends the Avro bytes of a made-up hire under `hireSchema`.
private func append(_ id: Int, _ generator: inout HireGenerator, to sink: inout ByteSink) {
    let hire = generator.hire(id)
    let time = Array(hire[2].utf8).withUnsafeBytes { (try? ScalarParser.timestamp($0)) ?? 0 }
    sink.append(long: Int64(id))
    sink.append(long: 1)
    sink.append(string: hire[1])
    sink.append(long: time)
    for field in hire[3...] {
        sink.append(long: 1)
        sink.append(long: Int64(field) ?? 0)
    }
    sink.append(long: Int64(id) + 100)
}

/// A whole file of such hires.
private func hireFile(rowCount: Int, codec: ContainerCodec) throws -> Bytes {
    let header = ContainerHeader(
        schema: try AvroSchema(json: hireSchema), codec: codec, syncMarker: .random())
    var generator = HireGenerator()
    var file = ByteSink()
    withUnsafeMutablePointer(to: &file) { file in
        var writer = ContainerWriter(header: header) { file.pointee.append(raw: $0) }
        for id in 1...rowCount { writer.append { append(id, &generator, to: &$0) } }
        writer.finish()
    }
    return file.finish()
}

/// Avro files of hires to verdicts on one core, beside a walk over the same values.
func measureAvro(rowCount: Int) throws {
    let judge = try makeHireJudge()
    for codec in [ContainerCodec.null, .deflate, .zstandard] {
        let file = try hireFile(rowCount: bodyCount * rowsPerBody, codec: codec)
        var walked = 0
        let walk = rowsPerSecond(rowCount) { walked = skip(file) }
        var accepted = 0
        let verdicts = rowsPerSecond(rowCount) { accepted = count(file, judge) }
        guard accepted == bodyCount * rowsPerBody, walked == accepted else {
            throw BenchFailure("of \(bodyCount * rowsPerBody) rows \(accepted) were accepted")
        }
        Report.row(
            "Avro to verdicts, \(codec), one core", figure: Report.rate(verdicts, "rows"),
            limit: "the same blocks read and their rows skipped: \(Report.rate(walk, "rows"))",
            ratio: verdicts / walk, command: "daybook-bench avro --rows \(rowCount)")
    }
}

private func skip(_ file: Bytes) -> Int {
    guard var reader = try? ContainerReader(file) else { return 0 }
    let skipper = AvroSkipper(reader.header.schema)
    var rows = 0
    while let block = try? reader.nextBlock() {
        block.bytes.withUnsafeBytes { bytes in
            var cursor = ByteCursor(bytes)
            guard (try? skipper.skip(block.count, &cursor)) != nil else { return }
            rows += block.count
        }
    }
    return rows
}

private func count(_ file: Bytes, _ judge: Judge) -> Int {
    var decoder = AvroDecoder(judge: judge)
    var place = 0
    var accepted = 0
    while true {
        let step = file.withUnsafeBytes(in: place..<file.count) { bytes in
            try? decoder.next(bytes, isLast: true, rowLimit: 5_000)
        }
        guard let step, let batch = step.batch else { return accepted }
        place += step.consumedByteCount
        accepted += batch.rows.count { $0.isCandidate }
    }
}

/// Blocks of hires compressed and decompressed by the codecs, beside zlib at the same level.
func measureCodecs() throws {
    for blockByteCount in [64 << 10, 256 << 10] {
        var generator = HireGenerator()
        var content = ByteSink()
        var id = 0
        while content.count < blockByteCount {
            id += 1
            append(id, &generator, to: &content)
        }
        let bytes = content.finish()
        let zlib = try measureZlib(bytes)
        for codec in [ContainerCodec.deflate, .zstandard] {
            let ours = try measure(codec, bytes)
            let level = codec == .deflate ? 6 : 3
            for (what, figure, peer) in [
                ("compressed", ours.compress, zlib.compress),
                ("read", ours.decompress, zlib.decompress),
            ] {
                Report.row(
                    "blocks of \(blockByteCount >> 10) KiB \(what), \(codec), level \(level)",
                    figure: "\(Int(figure)) MB/s (to \(percent(ours.ratio)) %)",
                    limit: "zlib, level 6: \(Int(peer)) MB/s (to \(percent(zlib.ratio)) %)",
                    ratio: figure / peer, command: "daybook-bench codecs")
            }
        }
    }
}

private func percent(_ ratio: Double) -> Double { (ratio * 1000).rounded() / 10 }

/// Megabytes a second of content, and what is left of it.
private struct CodecFigures {
    var compress = 0.0
    var decompress = 0.0
    var ratio = 1.0
}

/// Megabytes of `byteCount` a second, over about a second of processor time.
private func megabytesPerSecond(_ byteCount: Int, _ body: () throws -> Void) rethrows -> Double {
    try body()
    var rounds = 0
    let start = threadSeconds()
    while threadSeconds() - start < 1 {
        for _ in 0..<8 { try body() }
        rounds += 8
    }
    return Double(rounds * byteCount) / (threadSeconds() - start) / 1e6
}

private func measure(_ codec: ContainerCodec, _ content: Bytes) throws -> CodecFigures {
    var figures = CodecFigures()
    var compressor = BlockCompressor(codec: codec)
    var stored = ByteSink()
    figures.compress = megabytesPerSecond(content.count) {
        stored.removeAll()
        compressor.compress(content.unsafeBytes, into: &stored)
    }
    figures.ratio = Double(stored.count) / Double(content.count)
    // A file of many equal blocks: so it is the container's own reader that is measured.
    let marker = SyncMarker.random()
    var file = ByteSink()
    ContainerHeader(schema: .bytes(), codec: codec, syncMarker: marker).encode(into: &file)
    for _ in 0..<64 { marker.frame(count: 1, compressed: stored.unsafeBytes, into: &file) }
    let whole = file.finish()
    figures.decompress = try megabytesPerSecond(content.count * 64) {
        var reader = try ContainerReader(whole)
        var blocks = 0
        while try reader.nextBlock() != nil { blocks += 1 }
        guard blocks == 64 else { throw BenchFailure("a block is missing") }
    }
    return figures
}

private func measureZlib(_ content: Bytes) throws -> CodecFigures {
    var figures = CodecFigures()
    let size = Int32(MemoryLayout<z_stream>.size)
    // zlib keeps a pointer back to its stream, so the streams must not move.
    let streams = UnsafeMutablePointer<z_stream>.allocate(capacity: 2)
    streams.initialize(repeating: z_stream(), count: 2)
    let (deflating, inflating) = (streams, streams + 1)
    defer { streams.deallocate() }
    guard
        deflateInit2_(
            deflating, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
            == Z_OK,
        inflateInit2_(inflating, -MAX_WBITS, ZLIB_VERSION, size) == Z_OK
    else { throw BenchFailure("zlib has no memory") }
    var stored = [UInt8](repeating: 0, count: content.count * 2)
    var back = [UInt8](repeating: 0, count: content.count + 1)
    var storedByteCount = 0
    figures.compress = megabytesPerSecond(content.count) {
        deflateReset(deflating)
        storedByteCount = zlibStep(deflating, content.unsafeBytes, into: &stored, deflate)
    }
    figures.ratio = Double(storedByteCount) / Double(content.count)
    var backByteCount = 0
    figures.decompress = megabytesPerSecond(content.count) {
        inflateReset(inflating)
        backByteCount = stored.withUnsafeBytes {
            zlibStep(
                inflating, UnsafeRawBufferPointer(rebasing: $0[..<storedByteCount]), into: &back,
                inflate)
        }
    }
    deflateEnd(deflating)
    inflateEnd(inflating)
    guard backByteCount == content.count else { throw BenchFailure("zlib lost something") }
    return figures
}

/// One whole block through a stream; how many bytes came out.
private func zlibStep(
    _ stream: UnsafeMutablePointer<z_stream>, _ input: UnsafeRawBufferPointer,
    into output: inout [UInt8],
    _ step: (UnsafeMutablePointer<z_stream>?, Int32) -> Int32
) -> Int {
    output.withUnsafeMutableBufferPointer { room in
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = room.baseAddress
        stream.pointee.avail_out = UInt32(room.count)
        _ = step(stream, Z_FINISH)
        return room.count - Int(stream.pointee.avail_out)
    }
}
