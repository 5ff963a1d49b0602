import Foundation

/// The host that requests go to, and how a bucket is named in them.
public struct S3Endpoint: Sendable, Equatable {
    /// `https` or `http`.
    public let scheme: String
    /// The host, with its port if that is not the scheme's own.
    public let authority: String
    /// Whether the bucket stands in the path (`host/bucket/key`) and not in the host's name.
    public let usesPathStyle: Bool

    /// AWS's own storage in a region.
    public static func aws(region: String, usesPathStyle: Bool = false) -> S3Endpoint {
        let suffix = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
        return S3Endpoint(
            scheme: "https", authority: "s3.\(region).\(suffix)", usesPathStyle: usesPathStyle)
    }

    /// Another storage, from its URL. Plain HTTP is for this machine only.
    ///
    /// - Throws: `.configuration`.
    public init(url: String, variable: String, usesPathStyle: Bool) throws(S3Error) {
        guard let parts = URLComponents(string: url), let host = parts.host, !host.isEmpty,
            let scheme = parts.scheme?.lowercased(), scheme == "https" || scheme == "http"
        else {
            throw .configuration("\(variable) is no URL such as https://storage.example.com")
        }
        guard parts.user == nil, parts.password == nil, parts.query == nil, parts.fragment == nil,
            parts.path.isEmpty || parts.path == "/"
        else {
            throw .configuration("\(variable) has a host and perhaps a port, and nothing more")
        }
        let bare = host.trimmingCharacters(in: ["[", "]"])
        guard scheme == "https" || S3Endpoint.isLoopback(bare) else {
            throw .configuration(
                "\(variable) is http:// for another machine: requests and rows could be read and "
                    + "changed on their way; use https://")
        }
        let name = bare.contains(":") ? "[\(bare)]" : bare
        let usual = scheme == "https" ? 443 : 80
        let port = parts.port.flatMap { $0 == usual ? nil : ":\($0)" } ?? ""
        self.init(
            scheme: scheme, authority: name.lowercased() + port, usesPathStyle: usesPathStyle)
    }

    private init(scheme: String, authority: String, usesPathStyle: Bool) {
        self.scheme = scheme
        self.authority = authority
        self.usesPathStyle = usesPathStyle
    }

    /// Where a bucket and a key are: the host, and the path as it is sent.
    ///
    /// A bucket with points in its name stands in the path in any case: no certificate fits it.
    func place(bucket: String, key: String?) -> (host: String, path: String) {
        let key = key.map(PercentEncoding.path) ?? ""
        if usesPathStyle || scheme == "https" && bucket.contains(".") {
            return (authority, "/\(bucket)" + (key.isEmpty ? "" : "/\(key)"))
        }
        return ("\(bucket).\(authority)", "/\(key)")
    }

    /// (RFC 6890: 127.0.0.0/8 and ::1; RFC 6761: localhost)
    private static func isLoopback(_ host: String) -> Bool {
        if host.lowercased() == "localhost" || host == "::1" { return true }
        var address = in_addr()
        guard inet_pton(AF_INET, host, &address) == 1 else { return false }
        return UInt32(bigEndian: address.s_addr) >> 24 == 127
    }
}
