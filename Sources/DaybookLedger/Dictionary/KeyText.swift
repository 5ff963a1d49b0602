import Avro
import DaybookCatalog
import DaybookLog

/// The values of a row's columns as text, for people.
enum KeyText {
    /// Of a row that was written under `record`; what it lacks is an empty text.
    static func values(
        of columns: [String], _ record: AvroSchema.Record, _ shape: RowShape,
        _ row: UnsafeRawBufferPointer
    ) -> [String] {
        let types = columns.map { name -> (place: Int, type: ColumnType)? in
            guard let place = record.index(of: name),
                let (type, _) = ColumnType.written(as: record.fields[place].schema)
            else { return nil }
            return (place, type)
        }
        return values(at: types, shape, row)
    }

    /// The key of a row of the table as it is now.
    static func values(
        of table: Table, shape: RowShape, _ row: UnsafeRawBufferPointer
    ) -> [String] {
        values(at: table.key.map { ($0, table.columns[$0].type) }, shape, row)
    }

    private static func values(
        at places: [(place: Int, type: ColumnType)?], _ shape: RowShape,
        _ row: UnsafeRawBufferPointer
    ) -> [String] {
        var values = RowValues()
        var cursor = ByteCursor(row)
        // A row that is not as its schema says has been reported by whoever read it first.
        guard (try? values.read(&cursor, shape: shape)) != nil else { return [] }
        return places.map { found in
            guard let (place, type) = found, let bytes = values.bytes(place) else { return "" }
            var cursor = ByteCursor(bytes)
            var sink = ByteSink(capacity: 48)
            try? ScalarText.append(encoded: type, from: &cursor, to: &sink)
            return String(decoding: sink.unsafeBytes, as: UTF8.self)
        }
    }
}

extension LogLookup {
    /// The values of some columns of the accepted row at `position`, as text.
    func values(of columns: [String], at position: Position) throws(LedgerError) -> [String] {
        let found = try withBatch(at: position) { reader -> [String] in
            var row = reader.facts.position
            while let branch = try reader.nextBranch() {
                if row == position, branch < reader.schema.tables.count {
                    let record = reader.schema.records[branch]
                    let shape = reader.schema.tables[branch]
                    return KeyText.values(of: columns, record, shape, try reader.readRow(branch))
                }
                try reader.skipRow(branch)
                row += 1
            }
            return []
        }
        return found ?? []
    }
}
