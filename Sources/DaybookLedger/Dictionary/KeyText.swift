import Avro
import DaybookCatalog
import DaybookLog

extension LogLookup {
    /// The values of some columns of the accepted row at `position`, as text under the types that
    /// they were written with; what the row lacks is an empty text.
    func values(of columns: [String], at position: Position) throws(LedgerError) -> [String] {
        let found = try withBatch(at: position) { reader -> [String] in
            var row = reader.facts.position
            while let branch = try reader.nextBranch() {
                if row == position, branch < reader.schema.records.count {
                    return try Self.values(of: columns, reader.schema, branch, &reader.cursor)
                }
                try reader.skipRow(branch)
                row += 1
            }
            return []
        }
        return found ?? []
    }

    private static func values(
        of columns: [String], _ schema: LogSchema, _ branch: Int, _ cursor: inout ByteCursor
    ) throws(AvroDecodingError) -> [String] {
        var values = RowValues()
        try values.read(&cursor, shape: schema.tables[branch])
        return columns.map { name in
            guard let place = schema.records[branch].index(of: name),
                let (type, _) = ColumnType.written(as: schema.records[branch].fields[place].schema),
                let bytes = values.bytes(place)
            else { return "" }
            var cursor = ByteCursor(bytes)
            var sink = ByteSink(capacity: 48)
            try? ScalarText.append(encoded: type, from: &cursor, to: &sink)
            return String(decoding: sink.unsafeBytes, as: UTF8.self)
        }
    }
}
