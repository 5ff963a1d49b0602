import Crypto

/// A request as it will be sent, in the parts that a signature covers.
public struct SignableRequest: Sendable {
    /// `GET`, `PUT`, …
    public var method: String
    /// The path, percent-encoded as it is sent.
    public var path: String
    /// Names and values of the query, not encoded.
    public var query: [(name: String, value: String)]
    /// All headers to be signed; names in any case.
    public var headers: [(name: String, value: String)]
    /// SHA-256 of the body in hexadecimal.
    public var payloadDigest: String

    /// A request of these parts.
    public init(
        method: String, path: String, query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)], payloadDigest: String
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.payloadDigest = payloadDigest
    }

    /// The query, encoded and in order. It is sent as it is signed.
    public var canonicalQuery: String {
        query.map { (PercentEncoding.query($0.name), PercentEncoding.query($0.value)) }
            .sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0 < $1.0 }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }
}

/// Signature Version 4 in its header form. (AWS General Reference, "Create a signed request")
public struct SigV4: Sendable {
    /// Whose signature.
    public let credentials: Credentials
    /// The region it holds in.
    public let region: String
    /// The service it holds for: `s3`.
    public let service: String

    /// Signs by a key for a region and a service.
    public init(credentials: Credentials, region: String, service: String) {
        self.credentials = credentials
        self.region = region
        self.service = service
    }

    /// The value of `Authorization` for a request at a time such as `20130524T000000Z`.
    public func authorization(_ request: SignableRequest, timestamp: String) -> String {
        let day = String(timestamp.prefix(8))
        let scope = "\(day)/\(region)/\(service)/aws4_request"
        let headers = SigV4.canonical(request.headers)
        let names = headers.map(\.name).joined(separator: ";")
        let canonical = [
            request.method, request.path, request.canonicalQuery,
            headers.map { "\($0.name):\($0.value)\n" }.joined(), names, request.payloadDigest,
        ].joined(separator: "\n")
        let text = [
            "AWS4-HMAC-SHA256", timestamp, scope, Hex.sha256(Array(canonical.utf8)),
        ].joined(separator: "\n")
        var key = SymmetricKey(data: Array("AWS4\(credentials.secretAccessKey)".utf8))
        for part in [day, region, service, "aws4_request"] {
            key = SymmetricKey(data: SigV4.code(part, key))
        }
        let signature = Hex.text(SigV4.code(text, key))
        return "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope), "
            + "SignedHeaders=\(names), Signature=\(signature)"
    }

    private static func code(_ text: String, _ key: SymmetricKey) -> HMAC<SHA256>.MAC {
        HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
    }

    /// Lower-case names in order, values without needless spaces, those of one name together.
    private static func canonical(
        _ headers: [(name: String, value: String)]
    ) -> [(name: String, value: String)] {
        var values: [String: [String]] = [:]
        for (name, value) in headers {
            let words = value.split { $0 == " " || $0 == "\t" }
            values[name.lowercased(), default: []].append(words.joined(separator: " "))
        }
        return values.sorted { $0.key < $1.key }
            .map { ($0.key, $0.value.joined(separator: ",")) }
    }
}

/// Digests as text.
enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    static func sha256(_ bytes: some Sequence<UInt8>) -> String {
        Array(bytes).withUnsafeBytes { sha256($0) }
    }

    static func sha256(_ bytes: UnsafeRawBufferPointer) -> String {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        return text(hash.finalize())
    }
}
