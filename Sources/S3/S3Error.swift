/// Why object storage did not do what it was asked. Holds no key of an account and no signature.
public enum S3Error: Error, Sendable, Equatable {
    /// What the environment says cannot be used.
    case configuration(String)
    /// A text that is no `s3://bucket/prefix`, and what would be right.
    case badURL(String)
    /// The storage refused: its status, its code (`NoSuchKey`, …) and message, and what was asked.
    case refused(status: Int, code: String, message: String, what: String)
    /// No answer, however often it was tried.
    case unreachable(host: String, why: String)
    /// The host did not prove that it is who it should be.
    case untrusted(host: String)
    /// The answer is not what the protocol promises.
    case malformedAnswer(String)
    /// There is more than may be taken.
    case tooLarge(what: String, byteCountMax: Int)
    /// An object is no longer the one whose reading began.
    case changed(what: String)

    /// Whether the storage says that there is no such object. A missing bucket is another matter:
    /// it is a mistake of whoever named it.
    public var isMissingObject: Bool {
        guard case .refused(let status, let code, _, _) = self else { return false }
        return status == 404 && code != "NoSuchBucket"
    }
}

extension S3Error: CustomStringConvertible {
    /// What is wrong, for a person.
    public var description: String {
        switch self {
        case .configuration(let what), .badURL(let what), .malformedAnswer(let what): what
        case .refused(let status, let code, let message, let what):
            "\(what): \(S3Error.reason(status, code, message))"
        case .unreachable(let host, let why): "\(host) cannot be reached: \(why)"
        case .untrusted(let host):
            "\(host) showed a certificate that is not trusted; if it is your own authority's, "
                + "name its file in SSL_CERT_FILE"
        case .tooLarge(let what, let limit): "\(what) has more than \(limit) bytes"
        case .changed(let what): "\(what) was replaced while it was read; begin again"
        }
    }

    private static func reason(_ status: Int, _ code: String, _ message: String) -> String {
        let said = message.isEmpty ? code : "\(code): \(message)"
        switch code {
        case "InvalidAccessKeyId":
            return "\(said) See AWS_ACCESS_KEY_ID."
        case "SignatureDoesNotMatch":
            return "\(said) See AWS_SECRET_ACCESS_KEY and AWS_REGION."
        case "InvalidToken", "ExpiredToken":
            return "\(said) See AWS_SESSION_TOKEN."
        case "RequestTimeTooSkewed":
            return "\(said) See this machine's clock."
        case "AccessDenied", "Forbidden":
            return "\(said) The key lacks a permission; docs/storage.md lists them."
        case "PermanentRedirect", "AuthorizationHeaderMalformed":
            return "\(said) See AWS_REGION and the endpoint."
        default:
            return said.isEmpty ? "status \(status)" : said
        }
    }
}
