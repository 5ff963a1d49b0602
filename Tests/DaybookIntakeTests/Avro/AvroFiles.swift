import Avro
import DaybookCatalog
import Testing

@testable import DaybookIntake

/// Avro files and what a decoder makes of them.
enum AvroFiles {
    /// A file of rows of a schema, whose JSON is given.
    static func file(
        _ schema: String, _ rows: [AvroValue], codec: ContainerCodec = .null,
        blockByteCount: Int = 1024
    ) throws -> [UInt8] {
        let schema = try AvroSchema(json: schema)
        var file: [UInt8] = []
        let header = ContainerHeader(
            schema: schema, codec: codec, syncMarker: SyncMarker(Array(1...16)))
        try withUnsafeMutablePointer(to: &file) { file in
            var writer = ContainerWriter(header: header, blockByteCount: blockByteCount) {
                file.pointee.append(contentsOf: $0)
            }
            for row in rows { try writer.append(row) }
            writer.finish()
        }
        return file
    }

    /// The JSON of a record of fields, each given as its name and its type's JSON.
    static func record(_ fields: (String, String)...) -> String {
        let list = fields.map { #"{"name":"\#($0.0)","type":\#($0.1)}"# }.joined(separator: ",")
        return #"{"type":"record","name":"Whatever","fields":[\#(list)]}"#
    }

    /// The batches of a file that is shown as it comes, in pieces of so many bytes.
    static func batches(
        _ file: [UInt8], _ judge: Judge, rowLimit: Int = 5_000, piece: () -> Int = { .max / 2 }
    ) throws -> [(firstLine: Int64, batch: JudgedBatch)] {
        var decoder = AvroDecoder(judge: judge)
        var found: [(Int64, JudgedBatch)] = []
        var start = 0
        var end = 0
        while true {
            let isLast = end == file.count
            let step = try file[start..<end].withUnsafeBytes {
                try decoder.next($0, isLast: isLast, rowLimit: rowLimit)
            }
            start += step.consumedByteCount
            if let batch = step.batch {
                found.append((step.firstLine, batch))
            } else if isLast {
                #expect(start == file.count)
                return found
            } else {
                #expect(decoder.wantedByteCount > end - start, "else nothing more would come")
                end = min(file.count, end + piece())
            }
        }
    }

    /// The only batch of a file of one block.
    static func judge(
        _ table: String, _ schema: String, _ rows: [AvroValue]
    ) throws -> JudgedBatch {
        let found = try batches(file(schema, rows), makeJudge(table))
        try #require(found.count == 1)
        return found[0].batch
    }
}
