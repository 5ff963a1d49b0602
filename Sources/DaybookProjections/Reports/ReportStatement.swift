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
        ReportTable(
            result, types: try typeNames(result, on: connection), rowCount: result.rowCount)
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
