import Avro
import DaybookLedger
import DaybookLog
import Foundation
import Hummingbird

/// What `POST /v1/retractions` asks for.
struct RetractionOptions {
    /// How many bytes a body may have.
    static let bodyByteLimit = 4 << 20
    private static let members = ["batches", "imports", "rows", "note", "with_referring"]

    /// Whether nothing is to be written.
    private(set) var isDryRun = false
    /// How long to wait for the tables to be without the rows; nil if the client does not ask.
    private(set) var waitSeconds: Double?
    /// What is to go.
    let targets: [RetractionRequest.Target]
    /// Whether rows that refer to these go too.
    let takesReferring: Bool
    /// Why; nil only where nothing is to be written.
    let note: String?

    /// Reads the query and the body.
    ///
    /// - Throws: a problem that names what is not understood.
    init(_ request: Request, body: Bytes) throws(Problem) {
        var waits = false
        var timeoutSeconds = 10.0
        for (name, value) in request.uri.queryParameters {
            switch (name, value) {
            case ("dry_run", "true"): isDryRun = true
            case ("dry_run", "false"): isDryRun = false
            case ("wait", "projected"): waits = true
            case ("timeout", _): timeoutSeconds = try ReadOptions.seconds(value)
            case ("dry_run", _), ("wait", _):
                throw .badRequest("bad-option", "\(name) cannot be \(value)")
            default:
                throw .badRequest(
                    "bad-option",
                    "there is no option \(name); there are dry_run, wait and timeout")
            }
        }
        if waits { waitSeconds = timeoutSeconds }
        let found = try Self.read(body)
        targets = found.targets
        takesReferring = found.takesReferring
        note = found.note
        guard (1...RetractionRequest.targetCountMax).contains(targets.count) else {
            throw .badRequest(
                "bad-body", "name what is to go, in batches, imports or rows: 1 to "
                    + "\(RetractionRequest.targetCountMax) of them; here are \(targets.count)")
        }
        try requireNote()
    }

    private static func read(_ body: Bytes) throws(Problem) -> Body {
        do {
            return try JSONDecoder().decode(Body.self, from: body.withUnsafeBytes { Data($0) })
        } catch let error as Body.Unknown {
            throw .badRequest(
                "bad-body", "there is no member \(error.member); there are "
                    + error.known.joined(separator: ", "))
        } catch {
            throw .badRequest(
                "bad-body", #"the body is like {"batches":["0190…"],"imports":["jobs.csv"],"#
                    + #""rows":[{"table":"jobs","key":7}],"note":"…","with_referring":false}"#)
        }
    }

    private func requireNote() throws(Problem) {
        let limit = Retraction.noteByteCount
        guard let note else {
            if isDryRun { return }
            throw .badRequest("bad-note", #"say why: "note": "…""#)
        }
        guard !note.allSatisfy(\.isWhitespace), note.utf8.count <= limit, !note.utf8.contains(0)
        else {
            throw .badRequest(
                "bad-note",
                "a note says why, in at most \(limit) bytes of UTF-8, without a zero byte")
        }
    }

    /// The request in the name of `principal`.
    func request(by principal: String) -> RetractionRequest {
        RetractionRequest(
            targets: targets, takesReferring: takesReferring,
            // What is only planned is not written, and needs no reason.
            retraction: Retraction(note: note ?? "-", principal: principal))
    }

    /// The body; a member that nobody knows is a slip, not something to pass over.
    private struct Body: Decodable {
        struct Unknown: Error {
            let member: String
            let known: [String]
        }

        let targets: [RetractionRequest.Target]
        let note: String?
        let takesReferring: Bool

        init(from decoder: any Decoder) throws {
            let members = try Members(decoder, known: RetractionOptions.members)
            let batches = try members.read([String].self, "batches") ?? []
            let imports = try members.read([String].self, "imports") ?? []
            let rows = try members.read([Row].self, "rows") ?? []
            targets =
                batches.map { .batch($0) }
                + imports.map { text in
                    Digest(hexadecimal: text).map { .importDigest($0) } ?? .importName(text)
                }
                + rows.map { .row(table: $0.table, key: $0.key) }
            note = try members.read(String.self, "note")
            takesReferring = try members.read(Bool.self, "with_referring") ?? false
        }

        /// A row by its key.
        private struct Row: Decodable {
            let table: String
            let key: [String]

            init(from decoder: any Decoder) throws {
                let members = try Members(decoder, known: ["table", "key"])
                table = try members.require(String.self, "table")
                if let values = try? members.require([KeyText].self, "key") {
                    key = values.map(\.text)
                } else {
                    key = [try members.require(KeyText.self, "key").text]
                }
            }
        }
    }

    /// The members of an object, of which all names are known.
    private struct Members {
        private struct Name: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        private let container: KeyedDecodingContainer<Name>

        init(_ decoder: any Decoder, known: [String]) throws {
            container = try decoder.container(keyedBy: Name.self)
            if let key = container.allKeys.first(where: { !known.contains($0.stringValue) }) {
                throw Body.Unknown(member: key.stringValue, known: known)
            }
        }

        func read<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value? {
            try container.decodeIfPresent(type, forKey: Name(stringValue: name))
        }

        func require<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
            try container.decode(type, forKey: Name(stringValue: name))
        }
    }

    /// The text of a key's value, which may be a string, a number or a boolean.
    private struct KeyText: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(String.self) {
                text = value
            } else if let value = try? container.decode(Bool.self) {
                text = value ? "true" : "false"
            } else if let value = try? container.decode(Int64.self) {
                text = String(value)
            } else if let value = try? container.decode(Decimal.self) {
                text = "\(value)"
            } else {
                text = "\(try container.decode(Double.self))"
            }
        }
    }
}

extension Digest {
    /// A SHA-256 as 64 hexadecimal digits; nil for any other text.
    fileprivate init?(hexadecimal text: String) {
        let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 2 * Digest.byteCount, digits.count == text.utf8.count else {
            return nil
        }
        let bytes = stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
        self = bytes.withUnsafeBytes { Digest($0) }
    }
}
