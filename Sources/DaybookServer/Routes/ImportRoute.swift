import DaybookIntake
import DaybookLedger
import DaybookLog
import Hummingbird
import NIOCore

/// A file that is to be imported.
public struct ImportRequest: Sendable {
    /// The table its rows are for.
    public var table: String
    /// The file's name, as the log keeps it.
    public var fileName: String
    /// What its bytes are.
    public var format: BatchFormat
    /// CSV: whether the first line names the columns.
    public var hasHeader: Bool
    /// SHA-256 over the file's bytes, by which the same file is known again.
    public var digest: [UInt8]
    /// Whether a file that was imported before is imported again.
    public var isForced: Bool
    /// Who imports it: `local:<user>`.
    public var principal: String

    /// All that is to be known before the first byte.
    public init(
        table: String, fileName: String, format: BatchFormat, hasHeader: Bool, digest: [UInt8],
        isForced: Bool, principal: String
    ) {
        self.table = table
        self.fileName = fileName
        self.format = format
        self.hasHeader = hasHeader
        self.digest = digest
        self.isForced = isForced
        self.principal = principal
    }
}

/// What an import came to, as commands print it.
public struct ImportSummary: Sendable, Codable, Equatable {
    /// The file's name.
    public var file: String
    /// The table.
    public var table: String
    /// Rows with a verdict: accepted + rejected.
    public var rows: Int
    /// Rows that the table has now.
    public var accepted: Int
    /// Rows that were refused, with reasons, and kept in the log.
    public var rejected: Int
    /// Blank lines, which are no rows.
    public var blank: Int
    /// The first row's position; nil if there was no row.
    public var firstPosition: Position?
    /// The last row's position; nil if there was no row.
    public var lastPosition: Position?
    /// Whether the same bytes were imported before, and so nothing was done.
    public var isAlreadyImported: Bool

    /// All of it.
    public init(
        file: String, table: String, rows: Int, accepted: Int, rejected: Int, blank: Int,
        firstPosition: Position?, lastPosition: Position?, isAlreadyImported: Bool
    ) {
        self.file = file
        self.table = table
        self.rows = rows
        self.accepted = accepted
        self.rejected = rejected
        self.blank = blank
        self.firstPosition = firstPosition
        self.lastPosition = lastPosition
        self.isAlreadyImported = isAlreadyImported
    }

    private enum CodingKeys: String, CodingKey {
        case file, table, rows, accepted, rejected, blank
        case firstPosition = "first_position"
        case lastPosition = "last_position"
        case isAlreadyImported = "already_imported"
    }

    /// Writes the members, without the braces around them.
    public func writeMembers(to json: inout JSONWriter) {
        json.field("file", file)
        json.field("table", table)
        json.field("rows", rows)
        json.field("accepted", accepted)
        json.field("rejected", rejected)
        json.field("blank", blank)
        json.key("first_position")
        if let firstPosition { json.integer(firstPosition) } else { json.null() }
        json.key("last_position")
        if let lastPosition { json.integer(lastPosition) } else { json.null() }
        json.field("already_imported", isAlreadyImported)
    }
}

/// Takes a file's bytes into the ledger, however many they are.
public protocol ImportService: Sendable {
    /// Imports what `body` gives; goes on where an earlier import of the same bytes ended.
    ///
    /// - Throws: `IntakeError` if the file cannot be read under the request's options, `LedgerError`
    ///   if the ledger does not take it, and what `body` throws.
    func importFile(
        _ request: ImportRequest, body: any AsyncSequence<ByteBuffer, any Error> & Sendable
    ) async throws -> ImportSummary
}

/// `POST /local/v1/import`: a file as a stream, from the command line.
struct ImportRoute: Sendable {
    let importer: any ImportService
    let tables: Set<String>

    func respond(to request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.append)
        do {
            let description = try description(of: request, caller)
            let summary = try await importer.importFile(description, body: request.body)
            var json = JSONWriter(capacity: 512)
            json.openObject()
            summary.writeMembers(to: &json)
            json.closeObject()
            return Response(status: .ok, json: json)
        } catch {
            guard let problem = Problem(importing: error) else { throw error }
            return problem.response().closing(context.channel)
        }
    }

    private func description(
        of request: Request, _ caller: Caller
    ) throws(Problem) -> ImportRequest {
        let query = request.uri.queryParameters
        guard let table = query["table"].map(String.init), tables.contains(table) else {
            throw .unknownTable(query["table"].map(String.init) ?? "")
        }
        guard let format = query["format"].flatMap({ BatchFormat(rawValue: String($0)) }) else {
            throw .badRequest("bad-option", "format is csv or ndjson")
        }
        guard let digest = query["digest"].flatMap({ bytes(hexadecimal: $0) }), digest.count == 32
        else { throw .badRequest("bad-option", "digest is the file's SHA-256, in hexadecimal") }
        return ImportRequest(
            table: table, fileName: query["file"].map(String.init) ?? "-", format: format,
            hasHeader: query["header"] == "true", digest: digest,
            isForced: query["force"] == "true", principal: caller.principal)
    }

    private func bytes(hexadecimal text: Substring) -> [UInt8]? {
        let digits = text.compactMap(\.hexDigitValue).map(UInt8.init)
        guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

extension Problem {
    /// What kept a file from being imported; nil if it is nothing a client is told.
    fileprivate init?(importing error: any Error) {
        switch error {
        case let problem as Problem: self = problem
        case let error as LedgerError: self.init(error)
        case let error as IntakeError: self = .badRequest("bad-header", error.description)
        default: return nil
        }
    }
}
