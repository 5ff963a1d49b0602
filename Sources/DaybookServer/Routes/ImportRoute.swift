import Avro
import DaybookIntake
import DaybookLedger
import DaybookLog
import Hummingbird
import NIOCore

/// `POST /local/v1/import?table=&file=&format=&header=&digest=&nonce=`: a file as a stream, from
/// the command line; answers what the import came to.
struct ImportRoute: Sendable {
    let ledger: any LedgerService
    let judges: [String: Judge]
    let dictionary: String

    func respond(to request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.append)
        do {
            let (file, judge) = try description(of: request, caller)
            let importer = Importer(ledger: ledger, judge: judge, dictionary: dictionary)
            var body = request.body.makeAsyncIterator()
            let summary = try await importer.run(file) {
                try await body.next().map { $0.withUnsafeReadableBytes { Bytes(copying: $0) } }
            }
            var json = JSONWriter(capacity: 512)
            json.openObject()
            ImportReport(summary).writeMembers(to: &json)
            json.closeObject()
            return Response(status: .ok, json: json)
        } catch let error as ImportError {
            return Problem(error).response().closing(context.channel)
        } catch let problem as Problem {
            return problem.response().closing(context.channel)
        }
    }

    private func description(
        of request: Request, _ caller: Caller
    ) throws(Problem) -> (ImportRequest, Judge) {
        let query = request.uri.queryParameters
        let table = query["table"].map(String.init) ?? ""
        guard let judge = judges[table] else { throw .unknownTable(table) }
        let format: ImportRequest.Format
        switch query["format"] {
        case "csv": format = .csv(query["header"] == "true" ? .present : .absent)
        case "ndjson": format = .ndjson
        case "avro": format = .avro
        default: throw .badRequest("bad-option", "format is csv, ndjson or avro")
        }
        guard let digest = query["digest"].flatMap({ bytes(hexadecimal: $0) }),
            digest.count == Digest.byteCount
        else { throw .badRequest("bad-option", "digest is the file's SHA-256, in hexadecimal") }
        let file = ImportRequest(
            file: query["file"].map(String.init) ?? "-", table: table, format: format,
            digest: digest.withUnsafeBytes { Digest($0) }, principal: caller.principal,
            nonce: query["nonce"].map(String.init))
        return (file, judge)
    }

    private func bytes(hexadecimal text: Substring) -> [UInt8]? {
        let digits = text.compactMap(\.hexDigitValue).map { UInt8($0) }
        guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

extension Problem {
    /// The type of an answer to a file that cannot be read to its end.
    public static let damagedFile = "damaged-file"

    /// What kept a file from being imported whole. What was acknowledged stays.
    fileprivate init(_ error: ImportError) {
        switch error {
        case .ledger(let error): self.init(error)
        case .intake(.damaged(let offset, let what)):
            let error = IntakeError.damaged(offset: offset, what)
            self = .badRequest(Self.damagedFile, error.description)
        case .intake(let error): self = .badRequest("bad-header", error.description)
        case .source(let what): self = .badRequest("bad-body", what)
        case .fileChanged:
            self = .badRequest("file-changed", "the file changed while it was read")
        }
    }
}

/// What an import came to, as the local socket and the command line say it.
public struct ImportReport: Sendable, Codable, Equatable {
    /// The file's name.
    public var file: String
    /// The table.
    public var table: String
    /// Rows with a verdict: accepted + rejected.
    public var rows: Int64
    /// Rows that the table has now.
    public var accepted: Int64
    /// Rows that were refused, with reasons, and kept in the log.
    public var rejected: Int64
    /// Blank lines, which are no rows.
    public var blank: Int64
    /// The first row's position; nil if there was no row.
    public var firstPosition: Position?
    /// The last row's position; nil if there was no row.
    public var lastPosition: Position?
    /// Whether the same bytes were imported before, and so nothing was done.
    public var isAlreadyImported: Bool
    /// How many rows have each code among their reasons.
    public var codes: [String: Int64]

    /// The report of one file.
    public init(_ summary: ImportSummary) {
        file = summary.file
        table = summary.table
        rows = summary.rows
        accepted = summary.accepted
        rejected = summary.rejected
        blank = summary.blank
        firstPosition = summary.firstPosition
        lastPosition = summary.lastPosition
        isAlreadyImported = summary.isAlreadyImported
        codes = summary.codes
    }

    /// Adds another file's numbers to these, and its name.
    public mutating func add(_ other: ImportReport) {
        file += " " + other.file
        rows += other.rows
        accepted += other.accepted
        rejected += other.rejected
        blank += other.blank
        firstPosition = [firstPosition, other.firstPosition].compactMap(\.self).min()
        lastPosition = [lastPosition, other.lastPosition].compactMap(\.self).max()
        isAlreadyImported = isAlreadyImported && other.isAlreadyImported
        codes.merge(other.codes, uniquingKeysWith: +)
    }

    private enum CodingKeys: String, CodingKey {
        case file, table, rows, accepted, rejected, blank, codes
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
        json.key("codes")
        json.openObject()
        for (code, count) in codes.sorted(by: { $0.key < $1.key }) { json.field(code, count) }
        json.closeObject()
    }
}
