import Avro
import DaybookCatalog

extension ReportTable {
    /// Writes a row as an object, a member for every column. NULL is null, and so is a number that
    /// JSON does not have.
    func write(row: Int, to json: inout JSONWriter) {
        json.openObject()
        for (index, column) in columns.enumerated() {
            json.key(column.name)
            // The writer has one owner: it is moved into the closure's scope and back.
            var text = JSONWriter(capacity: 0)
            swap(&text, &json)
            withValue(row: row, column: index) { value in
                text.write(value, form: column.form)
            }
            swap(&text, &json)
        }
        json.closeObject()
    }

    /// The first `columnCount` columns as CSV, its first line their names. NULL is an empty field,
    /// an empty text a quoted one; a NULL that has the line for itself is quoted too, for a blank
    /// line is no row.
    ///
    /// Source: RFC 4180.
    func csv(columnCount: Int) -> Bytes {
        precondition(columnCount <= columns.count, "no more columns are written than there are")
        var sink = ByteSink(capacity: 4096)
        for index in 0..<columnCount {
            if index > 0 { sink.append(byte: UInt8(ascii: ",")) }
            var name = columns[index].name
            name.withUTF8 { sink.append(csvField: UnsafeRawBufferPointer($0)) }
        }
        sink.append(raw: [0x0D, 0x0A])
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        for row in 0..<rowCount {
            for column in 0..<columnCount {
                if column > 0 { sink.append(byte: UInt8(ascii: ",")) }
                var text = ByteSink(capacity: 0)
                swap(&text, &sink)
                withValue(row: row, column: column) { value in
                    if let field = value ?? (columnCount == 1 ? empty : nil) {
                        text.append(csvField: field)
                    }
                }
                swap(&text, &sink)
            }
            sink.append(raw: [0x0D, 0x0A])
        }
        return sink.finish()
    }
}

extension ByteSink {
    /// A field of CSV, in quotes where it needs them; an empty one is quoted. (RFC 4180)
    public mutating func append(csvField value: UnsafeRawBufferPointer) {
        let needsQuotes =
            value.isEmpty
            || value.contains { byte in
                byte == UInt8(ascii: "\"") || byte == UInt8(ascii: ",") || byte == 0x0A
                    || byte == 0x0D
            }
        guard needsQuotes else { return append(raw: value) }
        append(byte: UInt8(ascii: "\""))
        for byte in value {
            if byte == UInt8(ascii: "\"") { append(byte: byte) }
            append(byte: byte)
        }
        append(byte: UInt8(ascii: "\""))
    }
}

extension JSONWriter {
    /// A value of a column.
    fileprivate mutating func write(
        _ value: UnsafeRawBufferPointer?, form: ReportTable.Column.Form
    ) {
        guard let value else { return null() }
        switch form {
        case .boolean, .json: raw(value)
        case .text: string(utf8: value)
        case .number:
            // `NaN` and the infinities end in letters, and are no JSON.
            let isFinite = value.last.map { $0 <= UInt8(ascii: "9") } ?? false
            if isFinite { raw(value) } else { null() }
        }
    }
}
