import Avro
import DaybookCatalog

/// What a report answered, in the forms that it is given out in.
public struct ReportAnswer: Sendable {
    /// What was asked.
    public let report: Report
    /// With which values, in the order of the report's parameters.
    public let arguments: [ScalarValue]
    /// What came.
    public let table: ReportTable

    /// The answer to a report.
    public init(report: Report, arguments: [ScalarValue], table: ReportTable) {
        self.report = report
        self.arguments = arguments
        self.table = table
    }

    /// The answer as one JSON object.
    public func write(to json: inout JSONWriter) {
        json.openObject()
        json.field("report", report.name)
        json.field("title", report.title)
        json.key("parameters")
        json.openObject()
        for (parameter, value) in zip(report.parameters, arguments) {
            json.key(parameter.name)
            json.write(value, of: parameter.type)
        }
        json.closeObject()
        json.key("columns")
        json.openArray()
        for column in table.columns {
            json.openObject()
            json.field("name", column.name)
            json.field("type", column.type)
            json.closeObject()
        }
        json.closeArray()
        json.key("rows")
        json.openArray()
        for row in 0..<table.rowCount { write(row: row, to: &json) }
        json.closeArray()
        if let chart = report.chart {
            json.key("chart")
            json.write(chart)
        }
        json.closeObject()
    }

    private func write(row: Int, to json: inout JSONWriter) {
        json.openObject()
        for (index, column) in table.columns.enumerated() {
            json.key(column.name)
            // The writer has one owner: it is moved into the closure's scope and back.
            var text = JSONWriter(capacity: 0)
            swap(&text, &json)
            table.withValue(row: row, column: index) { value in
                text.write(value, form: column.form)
            }
            swap(&text, &json)
        }
        json.closeObject()
    }

    /// The answer as CSV, its first line the columns' names. NULL is an empty field, an empty text
    /// a quoted one.
    ///
    /// Source: RFC 4180.
    public func csv() -> Bytes {
        var sink = ByteSink(capacity: 4096)
        for (index, column) in table.columns.enumerated() {
            if index > 0 { sink.append(byte: UInt8(ascii: ",")) }
            var name = column.name
            name.withUTF8 { sink.append(csvField: UnsafeRawBufferPointer($0)) }
        }
        sink.append(raw: [0x0D, 0x0A])
        for row in 0..<table.rowCount {
            for column in table.columns.indices {
                if column > 0 { sink.append(byte: UInt8(ascii: ",")) }
                var text = ByteSink(capacity: 0)
                swap(&text, &sink)
                table.withValue(row: row, column: column) { value in
                    if let value { text.append(csvField: value) }
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
    /// A value of a report's column.
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

    /// A value of the dictionary's types: integers, numbers and truth values as such, else text.
    mutating func write(_ value: ScalarValue, of type: ColumnType) {
        switch value {
        case .integer, .number, .boolean: raw(value.text(type: type))
        case .decimal, .string, .date, .timestamp, .uuid: string(value.text(type: type))
        }
    }

    /// A list of names.
    mutating func write(_ names: [String]) {
        openArray()
        for name in names { string(name) }
        closeArray()
    }

    /// How a report is drawn.
    mutating func write(_ chart: Report.Chart) {
        openObject()
        field("type", chart.kind.rawValue)
        key("x")
        write(chart.x)
        key("y")
        write(chart.y)
        closeObject()
    }
}
