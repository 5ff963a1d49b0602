import Avro
import DaybookIntake
import DaybookLedger
import DaybookLog
import Hummingbird
import NIOCore

/// `POST /local/v1/import?table=&file=&format=&header=&digest=&nonce=&max_rejects=&mode=`: a file
/// as a stream, from the command line; answers what the import came to.
///
/// `mode` is `check` (judge and append nothing), `keep-good` (stop at the limit) or none: then the
/// limit is only watched, for it was checked before.
struct ImportRoute: Sendable {
    let ledger: any LedgerService
    let judges: [String: Judge]
    let dictionary: String

    func respond(to request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.append)
        do {
            let (file, judge) = try description(of: request, caller)
            let options = try ImportLimitOptions(request.uri.queryParameters)
            let importer = Importer(ledger: ledger, judge: judge, dictionary: dictionary)
            var body = request.body.makeAsyncIterator()
            let summary = try await options.run(importer, file) {
                try await body.next().map { $0.withUnsafeReadableBytes { Bytes(copying: $0) } }
            }
            var json = JSONWriter(capacity: 512)
            json.openObject()
            ImportReport(summary).writeMembers(to: &json)
            json.closeObject()
            let response = Response(status: .ok, json: json)
            // Stopped, the rest of the file is not read.
            return summary.stop == nil ? response : response.closing(context.channel)
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

/// How many rejections the caller of an import allows, and what is done about more.
private struct ImportLimitOptions {
    private let limit: RejectLimit?
    private let mode: Substring?

    init(_ query: Parameters) throws(Problem) {
        mode = query["mode"]
        if let text = query["max_rejects"] {
            guard let limit = RejectLimit(String(text)) else {
                throw .badRequest("bad-option", "max_rejects is a number or a share: 10, 2.5%")
            }
            self.limit = limit
        } else {
            limit = nil
        }
        switch mode {
        case nil: break
        case "check", "keep-good":
            if limit == nil {
                throw .badRequest("bad-option", "a mode goes with max_rejects")
            }
        default: throw .badRequest("bad-option", "mode is check or keep-good")
        }
    }

    func run(
        _ importer: Importer, _ file: ImportRequest, next: () async throws -> Bytes?
    ) async throws(ImportError) -> ImportSummary {
        if mode == "check", let limit {
            return try await importer.check(file, limit: limit, next: next)
        }
        return try await importer.run(
            file, limit: limit, stopsEarly: mode == "keep-good", next: next)
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
