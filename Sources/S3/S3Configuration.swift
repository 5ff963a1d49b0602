/// Who asks, where, and how patiently.
public struct S3Configuration: Sendable {
    /// Who asks.
    public let credentials: Credentials
    /// The region that requests are signed for.
    public let region: String
    /// Where.
    public let endpoint: S3Endpoint
    /// A file of certificates that are trusted besides the system's.
    public let certificateFile: String?
    /// How often something is tried.
    public var patience: Patience

    /// A configuration of these parts.
    public init(
        credentials: Credentials, region: String, endpoint: S3Endpoint,
        certificateFile: String? = nil, patience: Patience = Patience()
    ) {
        self.credentials = credentials
        self.region = region
        self.endpoint = endpoint
        self.certificateFile = certificateFile
        self.patience = patience
    }

    /// Reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` or
    /// `AWS_DEFAULT_REGION`, `SSL_CERT_FILE`, and with the program's own prefix `S3_ENDPOINT` and
    /// `S3_PATH_STYLE`. An empty variable counts as none.
    ///
    /// - Throws: `.configuration`, which names the variable.
    public init(environment: [String: String], prefix: String) throws(S3Error) {
        func value(_ name: String) -> String? {
            environment[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        guard let key = value("AWS_ACCESS_KEY_ID"), let secret = value("AWS_SECRET_ACCESS_KEY")
        else {
            throw .configuration(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of the object storage")
        }
        let url = value("\(prefix)S3_ENDPOINT")
        // Storage other than AWS's mostly has one region and calls it by AWS's first.
        let usual = url == nil ? nil : "us-east-1"
        guard let region = value("AWS_REGION") ?? value("AWS_DEFAULT_REGION") ?? usual else {
            throw .configuration("set AWS_REGION to the region of the bucket, such as eu-central-1")
        }
        let isName = region.allSatisfy { character in
            character.isASCII
                && (character.isLowercase || character.isNumber || character == "-")
        }
        guard isName else {
            throw .configuration("AWS_REGION is no region such as eu-central-1")
        }
        let usesPathStyle: Bool
        switch value("\(prefix)S3_PATH_STYLE") {
        case "true": usesPathStyle = true
        case "false": usesPathStyle = false
        case nil: usesPathStyle = url != nil
        default: throw .configuration("\(prefix)S3_PATH_STYLE is true or false")
        }
        let endpoint =
            if let url {
                try S3Endpoint(
                    url: url, variable: "\(prefix)S3_ENDPOINT", usesPathStyle: usesPathStyle)
            } else {
                S3Endpoint.aws(region: region, usesPathStyle: usesPathStyle)
            }
        self.init(
            credentials: Credentials(
                accessKeyID: key, secretAccessKey: secret,
                sessionToken: value("AWS_SESSION_TOKEN")),
            region: region, endpoint: endpoint, certificateFile: value("SSL_CERT_FILE"))
    }
}

/// How often and how long something that may pass is tried again: full answers of 5xx and 429,
/// and connections that are lost. The pause doubles, and a random part of it is taken, so that
/// many who wait do not come back together.
public struct Patience: Sendable {
    /// How often at most, the first time included.
    public var tryCountMax = 7
    /// The first pause.
    public var firstPause = Duration.milliseconds(100)
    /// The longest pause.
    public var pauseMax = Duration.seconds(10)
    /// After this no further try begins.
    public var total = Duration.seconds(120)

    /// What suits a storage somewhere on the internet.
    public init() {}

    /// The pause after the `count`-th try: half of it for certain, half by chance.
    public func pause(after count: Int) -> Duration {
        let doubled = firstPause * (1 << min(count - 1, 16))
        return min(doubled, pauseMax) * Double.random(in: 0.5...1)
    }
}
