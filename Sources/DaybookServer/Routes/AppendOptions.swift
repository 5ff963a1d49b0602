import Avro
import Crypto
import DaybookIntake
import DaybookLedger
import Hummingbird

/// What a client asks for with an append, besides its rows.
struct AppendOptions {
    var format: BatchFormat
    /// CSV: whether the first line names the columns.
    var hasHeader = false
    var isAtomic = false
    var hasRows = true
    /// How long to wait for the rows to be in Postgres; nil if the client does not ask.
    var waitSeconds: Double?
    var idempotencyKey: String?

    /// Reads the options from the request's query and headers.
    ///
    /// - Throws: a problem that names what is not understood.
    /// - Parameter others: parameters of the query that the route has read itself.
    init(_ request: Request, besides others: Set<String> = []) throws(Problem) {
        (format, hasHeader) = try AppendOptions.mediaType(request.headers[.contentType])
        var waits = false
        var timeoutSeconds = 10.0
        for (name, value) in request.uri.queryParameters {
            switch (name, value) {
            case (_, _) where others.contains(String(name)): break
            case ("atomic", "true"): isAtomic = true
            case ("atomic", "false"): isAtomic = false
            case ("return", "minimal"): hasRows = false
            case ("return", "full"): hasRows = true
            case ("wait", "projected"): waits = true
            case ("timeout", _): timeoutSeconds = try ReadOptions.seconds(value)
            case ("atomic", _), ("return", _), ("wait", _):
                throw .badRequest("bad-option", "\(name) cannot be \(value)")
            default:
                throw .badRequest(
                    "bad-option",
                    "there is no option \(name); there are atomic, return, wait and timeout")
            }
        }
        if waits { waitSeconds = timeoutSeconds }
        if let key = request.headers[.idempotencyKey] {
            guard (1...255).contains(key.utf8.count) else {
                throw .badRequest("bad-idempotency-key", "an Idempotency-Key has 1 to 255 bytes")
            }
            idempotencyKey = key
        }
    }

    /// Names what the batch is, for the request's digest: what a retry must repeat.
    private var identity: String {
        "\(format.rawValue)\(hasHeader ? ";header" : "")\(isAtomic ? ";atomic" : "")"
    }

    /// SHA-256 over table, options, content type and body.
    func digest(table: String, body: Bytes) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: Array("\(table)\n\(identity)\n".utf8))
        body.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return Array(hash.finalize())
    }

    private static func mediaType(
        _ header: String?
    ) throws(Problem) -> (BatchFormat, hasHeader: Bool) {
        guard let header else { return (.json, false) }
        let parts = header.split(separator: ";").map {
            String($0.drop { $0 == " " }).lowercased().trimmingSpace
        }
        var hasHeader = false
        for parameter in parts.dropFirst() {
            switch parameter.replacing("\"", with: "") {
            case "header=present": hasHeader = true
            case "header=absent", "charset=utf-8", "charset=us-ascii": break
            default: throw .unsupportedMediaType
            }
        }
        switch parts.first {
        case "application/json": return (.json, false)
        case "application/x-ndjson", "application/jsonl": return (.ndjson, false)
        case "text/csv": return (.csv, hasHeader)
        default: throw .unsupportedMediaType
        }
    }
}

extension String {
    /// The text without spaces at its end.
    fileprivate var trimmingSpace: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
