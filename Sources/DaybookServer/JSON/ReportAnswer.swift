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
        for row in 0..<table.rowCount { table.write(row: row, to: &json) }
        json.closeArray()
        if let chart = report.chart {
            json.key("chart")
            json.write(chart)
        }
        json.closeObject()
    }

    /// The answer as CSV, its first line the columns' names. NULL is an empty field, an empty text
    /// a quoted one. (RFC 4180)
    public func csv() -> Bytes { table.csv(columnCount: table.columns.count) }
}

extension JSONWriter {
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
