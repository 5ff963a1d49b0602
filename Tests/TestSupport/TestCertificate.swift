/// A certificate that signs itself, made by openssl for one test.
public struct TestCertificate: Sendable {
    /// The certificate's file.
    public let path: String
    /// Its key's file.
    public let keyPath: String

    /// Makes one for a host's name.
    public init(in folder: TemporaryFolder, for host: String) throws {
        path = folder.path("\(host).pem")
        keyPath = folder.path("\(host).key")
        let result = try runTool(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "2", "-subj", "/CN=\(host)",
                "-addext", "subjectAltName=DNS:\(host)", "-keyout", keyPath, "-out", path,
            ])
        guard result.status == 0 else { throw TestSupportError.missingTool("openssl") }
    }
}
