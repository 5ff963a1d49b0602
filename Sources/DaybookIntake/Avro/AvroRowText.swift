import Avro
import DaybookCatalog

/// Rows of an Avro file as text: one JSON object a row, the fields' names as in the file and the
/// values as the interface gives them. The log keeps it of rejected rows, whose bytes would say
/// nothing without their schema; judged again it has the same verdict.
final class AvroRowText: Sendable {
    private let record: AvroSchema.Record
    private let definitions: [AvroName: AvroSchema]
    /// For each field the type of its column, if it has one.
    private let kinds: [ColumnPlan.Kind?]
    /// Bytes that a row's text has for its names and punctuation, roughly.
    private let frameByteCount: Int

    init(
        _ record: AvroSchema.Record, definitions: [AvroName: AvroSchema],
        kinds: [ColumnPlan.Kind?]
    ) {
        self.record = record
        self.definitions = definitions
        self.kinds = kinds
        frameByteCount = record.fields.reduce(0) { $0 + $1.name.utf8.count + 24 }
    }

    /// What a row of so many bytes counts when batches are cut: about as many bytes as its text
    /// has. It depends on the file alone, never on the row's verdict.
    func weight(ofRowWith byteCount: Int) -> Int { byteCount + frameByteCount }

    /// The object of one row, whose bytes the plan has walked. One that would be much larger than
    /// its row (texts full of control characters, items without bytes) is abbreviated.
    func text(of row: UnsafeRawBufferPointer) -> [UInt8] {
        let limit = 2 * weight(ofRowWith: row.count) + 256
        var writer = AvroTextWriter(definitions: definitions, byteCountMax: limit)
        do {
            try write(row, to: &writer)
            return writer.text
        } catch {
            return brief(row, byteCountMax: limit)
        }
    }

    private func write(
        _ row: UnsafeRawBufferPointer, to writer: inout AvroTextWriter
    ) throws(AvroDecodingError) {
        var cursor = ByteCursor(row)
        for (index, field) in record.fields.enumerated() {
            writer.beginMember(field.name, isFirst: index == 0)
            try writer.write(field.schema, &cursor, depth: 0, as: kinds[index])
        }
        writer.endObject(isEmpty: record.fields.isEmpty)
    }

    /// The object with texts cut short, and `…` for what has parts; fields that would lead beyond
    /// `byteCountMax` are left out. It is JSON all the same.
    func brief(_ row: UnsafeRawBufferPointer, byteCountMax: Int) -> [UInt8] {
        var writer = AvroTextWriter(
            definitions: definitions, byteCountMax: .max, valueByteCountMax: 256)
        var cursor = ByteCursor(row)
        for (index, field) in record.fields.enumerated() {
            if index > 0 && writer.byteCount > byteCountMax { break }
            let skipper = AvroSkipper(field.schema, definitions: definitions)
            var end = cursor
            guard (try? skipper.skip(&end)) != nil else { break }
            writer.beginMember(field.name, isFirst: index == 0)
            if (try? writer.write(field.schema, &cursor, depth: 0, as: kinds[index])) == nil {
                writer.writeDots()
            }
            cursor = end
        }
        writer.endObject(isEmpty: record.fields.isEmpty)
        return writer.text
    }
}
