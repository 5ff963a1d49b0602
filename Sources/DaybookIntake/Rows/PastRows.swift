import Avro
import DaybookCatalog

/// Rows of the log as the door sees rows: to be judged again, under rules that may be others than
/// those that judged them first. The rules are the same code as at the door.
public struct PastRows: Sendable {
    private let judge: Judge
    private let fields: [(type: ColumnType, isOptional: Bool)]
    /// For every column of the table the field that it is read from.
    private let fieldOf: [Int?]
    /// The columns that the rows had, in order.
    private let names: [String]

    /// Rows of `judge`'s table that were written under `record`.
    ///
    /// - Throws: `UnreadableColumns` if they cannot be read as the table's.
    public init(_ record: AvroSchema.Record, judge: Judge) throws(UnreadableColumns) {
        let resolution = try RowResolution(record, table: judge.table)
        self.judge = judge
        fields = resolution.fields.map { ($0.type, $0.isOptional) }
        fieldOf = resolution.fieldOf
        names = resolution.fields.map(\.name)
    }

    /// Judges accepted rows by their values: `rows` are their Avro bytes, without the branch. What
    /// a row lacks counts as not sent, and a field that the table does not have any more as none.
    ///
    /// - Throws: `AvroDecodingError` if the bytes are not as their schema says.
    public func judge(
        accepted rows: [UnsafeRawBufferPointer]
    ) throws(AvroDecodingError) -> JudgedBatch {
        var builder = BatchBuilder(
            plan: judge.plan, probe: nil, rowCount: rows.count,
            byteCount: rows.reduce(0) { $0 + $1.count })
        var places: [ByteCursor?] = Array(repeating: nil, count: fields.count)
        for row in rows {
            try find(&places, in: row)
            builder.begin()
            for (index, field) in fieldOf.enumerated() {
                guard let field, let place = places[field] else {
                    builder.takeMissing(index)
                    continue
                }
                try builder.take(index, fields[field].type, place)
            }
            builder.close(original: 0..<0)
        }
        return builder.finish(format: .avro, original: Bytes([]))
    }

    /// Where the values of a row start; nil for a null.
    private func find(
        _ places: inout [ByteCursor?], in row: UnsafeRawBufferPointer
    ) throws(AvroDecodingError) {
        var cursor = ByteCursor(row)
        for (index, field) in fields.enumerated() {
            if field.isOptional {
                let branch = try cursor.readLong()
                guard branch == 0 || branch == 1 else { throw .badIndex(branch) }
                if branch == 0 {
                    places[index] = nil
                    continue
                }
            }
            places[index] = cursor
            switch field.type {
            case .integer, .date, .timestamp: _ = try cursor.readLong()
            case .number: try cursor.skip(8)
            case .boolean: _ = try cursor.readBoolean()
            case .string, .uuid, .decimal: _ = try cursor.readBytes()
            }
        }
    }

    /// Judges one rejected row by its original bytes, which came in `format`; nil if they are no
    /// row by themselves. Of a row in Avro they are a JSON object. The fields of CSV are the
    /// columns that the table had at the time, in order: a header of another order is not in the
    /// log.
    public func judge(rejected raw: [UInt8], format: BatchFormat) -> JudgedBatch? {
        let body = Bytes(raw, padding: 128)
        let batch: JudgedBatch?
        switch format {
        case .json, .avro:
            let first = raw.first { !" \t\r\n".utf8.contains($0) }
            guard first == UInt8(ascii: "{") else { return nil }
            batch = format == .json ? judge.judgeJSON(body) : judge.judgeAvroText(body)
        case .ndjson: batch = judge.judgeNDJSON(body)
        case .csv: batch = judgeCSV(body)
        }
        return batch.flatMap { $0.rows.count == 1 ? $0 : nil }
    }

    private func judgeCSV(_ body: Bytes) -> JudgedBatch? {
        let mapping = CSVMapping(past: names, judge.table)
        var decoder = CSVDecoder(judge: judge, mapping: mapping)
        return body.withUnsafeBytes { bytes in
            (try? decoder.next(bytes, isLast: true, rowLimit: 2))?.batch
        }
    }
}

extension BatchBuilder {
    /// Takes the open row's value of the column at `index` from a value that was written as `type`.
    fileprivate mutating func take(
        _ index: Int, _ type: ColumnType, _ value: ByteCursor
    ) throws(AvroDecodingError) {
        var cursor = value
        scratch.removeAll()
        try ScalarText.append(encoded: type, from: &cursor, to: &scratch)
        let text = scratch.unsafeBytes
        switch type {
        case .integer, .number, .decimal: take(index, .number, text)
        case .boolean: take(index, .boolean, text)
        case .string, .uuid, .date, .timestamp: take(index, .string, text)
        }
    }
}
