import Avro
import DaybookCatalog
import Postgres

/// One report with its values, ready to be run.
struct ReportStatement {
    private static let before = "SELECT * FROM (\n"

    private let report: Report
    private let arguments: [PostgresValue]
    private let rowLimit: Int
    private let sql: String

    init(_ report: Report, arguments: [ScalarValue], rowLimit: Int) {
        self.report = report
        self.rowLimit = rowLimit
        self.arguments = zip(arguments, report.parameters).map {
            .text($0.text(type: $1.type))
        }
        // As a subquery nothing but a query can stand there; its order is kept, for nothing is
        // done with its rows but to count them.
        sql = "\(Self.before)\(report.sql)\n) AS report LIMIT \(rowLimit + 1)"
    }

    /// Runs the query and copies what it gives.
    func run(on connection: PostgresConnection) throws -> ReportTable {
        let result = try connection.transaction(readOnly: true) {
            try connection.query(sql, arguments)
        }
        guard result.rowCount <= rowLimit else { throw ReportError.tooLarge(rowLimit: rowLimit) }
        return try table(result, on: connection)
    }

    /// What an error of Postgres means to who asked.
    func meaning(of error: PostgresError, timeoutSeconds: Int) -> ReportError {
        switch error {
        case .timedOut: .timedOut(seconds: timeoutSeconds)
        case .cancelled: .unavailable("the query was cancelled")
        case _ where error.isTransient: .unavailable(error.description)
        case .server(let fault): .failed("\(place(of: fault)): \(fault.description)")
        default: .failed(error.description)
        }
    }

    /// The file, and the line of the fault where the server names one.
    private func place(of fault: ServerError) -> String {
        guard let position = fault.characterPosition else { return report.file }
        let text = sql.unicodeScalars.prefix(position - 1)
        // Our own words stand on the lines before and after the query's.
        let lineCount = report.sql.unicodeScalars.count { $0 == "\n" } + 1
        let line = min(max(text.count { $0 == "\n" }, 1), lineCount)
        return "\(report.file):\(line)"
    }

    private func table(
        _ result: PostgresResult, on connection: PostgresConnection
    ) throws -> ReportTable {
        let types = try typeNames(result, on: connection)
        let forms = result.columnNames.indices.map { ValueForm(result.typeOID(column: $0)) }
        let columns = zip(result.columnNames, zip(types, forms)).map { name, type in
            ReportTable.Column(name: name, type: type.0, form: type.1.form)
        }
        var builder = ReportTable.Builder(columns: columns, rowCount: result.rowCount)
        for row in result {
            for (column, form) in forms.enumerated() {
                let value: Void? = row.withBytes(column) { text in
                    builder.append { sink in form.append(text, to: &sink) }
                }
                if value == nil { builder.appendNull() }
            }
        }
        return builder.finish()
    }

    /// The types' names as Postgres writes them.
    private func typeNames(
        _ result: PostgresResult, on connection: PostgresConnection
    ) throws -> [String] {
        let types = result.columnNames.indices.map { result.typeOID(column: $0) }
        if let names = Self.knownNames(types) { return names }
        let list = types.map(String.init).joined(separator: ",")
        let names = try connection.query(
            "SELECT format_type(t, NULL) FROM unnest($1::oid[]) WITH ORDINALITY AS u(t, n) "
                + "ORDER BY n", [.text("{\(list)}")])
        return names.map { $0.text(0) ?? "" }
    }

    /// Spares a question for the types that reports are usually made of.
    private static func knownNames(_ types: [UInt32]) -> [String]? {
        var names: [String] = []
        for type in types {
            switch type {
            case TypeOID.bool: names.append("boolean")
            case TypeOID.int4: names.append("integer")
            case TypeOID.int8: names.append("bigint")
            case TypeOID.float8: names.append("double precision")
            case TypeOID.numeric: names.append("numeric")
            case TypeOID.text: names.append("text")
            case TypeOID.date: names.append("date")
            case TypeOID.timestamptz: names.append("timestamp with time zone")
            default: return nil
            }
        }
        return names
    }
}

/// How the text that Postgres gives for a type becomes the text of a report.
private enum ValueForm {
    case number, boolean, json, time, text

    /// The form of a type's values (`src/include/catalog/pg_type.dat`).
    init(_ type: UInt32) {
        let float4: UInt32 = 700
        let json: UInt32 = 114
        let timestamp: UInt32 = 1114
        switch type {
        case TypeOID.int2, TypeOID.int4, TypeOID.int8, float4, TypeOID.float8: self = .number
        case TypeOID.bool: self = .boolean
        case json, TypeOID.jsonb: self = .json
        case timestamp, TypeOID.timestamptz: self = .time
        default: self = .text
        }
    }

    var form: ReportTable.Column.Form {
        switch self {
        case .number: .number
        case .boolean: .boolean
        case .json: .json
        case .time, .text: .text
        }
    }

    func append(_ text: UnsafeRawBufferPointer, to sink: inout ByteSink) {
        switch self {
        case .number, .json, .text: sink.append(raw: text)
        case .boolean:
            let isTrue = text.first == UInt8(ascii: "t")
            sink.append(raw: Array((isTrue ? "true" : "false").utf8))
        case .time: ValueForm.append(time: text, to: &sink)
        }
    }

    /// `2021-11-07 02:48:42.5+00` as `2021-11-07T02:48:42.5Z`; a time without zone keeps none, and
    /// `infinity` is left as it is.
    private static func append(time text: UnsafeRawBufferPointer, to sink: inout ByteSink) {
        let zone = Array("+00".utf8)
        let isZoned = text.count > 10 && text.suffix(3).elementsEqual(zone)
        for (place, byte) in text.dropLast(isZoned ? 3 : 0).enumerated() {
            sink.append(byte: byte == 0x20 && place == 10 ? UInt8(ascii: "T") : byte)
        }
        if isZoned { sink.append(byte: UInt8(ascii: "Z")) }
    }
}
