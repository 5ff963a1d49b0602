import Testing

@testable import S3

@Suite struct ConfigurationTests {
    static let key = ["AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hidden"]

    private func configuration(_ more: [String: String]) throws -> S3Configuration {
        try S3Configuration(
            environment: ConfigurationTests.key.merging(more) { $1 }, prefix: "DAYBOOK_")
    }

    @Test(
        "A bucket's place follows from the environment",
        arguments: [
            (["AWS_REGION": "eu-central-1"], "https", "books.s3.eu-central-1.amazonaws.com", "/a"),
            (
                ["AWS_DEFAULT_REGION": "cn-north-1"], "https",
                "books.s3.cn-north-1.amazonaws.com.cn",
                "/a"
            ),
            (
                ["AWS_REGION": "us-east-1", "DAYBOOK_S3_PATH_STYLE": "true"], "https",
                "s3.us-east-1.amazonaws.com", "/books/a"
            ),
            (
                ["DAYBOOK_S3_ENDPOINT": "https://Storage.example.com/"], "https",
                "storage.example.com", "/books/a"
            ),
            (
                ["DAYBOOK_S3_ENDPOINT": "https://s.example:444", "DAYBOOK_S3_PATH_STYLE": "false"],
                "https", "books.s.example:444", "/a"
            ),
            (
                ["DAYBOOK_S3_ENDPOINT": "http://127.0.0.1:9000"], "http", "127.0.0.1:9000",
                "/books/a"
            ),
            (["DAYBOOK_S3_ENDPOINT": "http://[::1]:9000"], "http", "[::1]:9000", "/books/a"),
            (["DAYBOOK_S3_ENDPOINT": "http://localhost"], "http", "localhost", "/books/a"),
        ])
    func places(more: [String: String], scheme: String, host: String, path: String) throws {
        let endpoint = try configuration(more).endpoint
        let place = endpoint.place(bucket: "books", key: "a")
        #expect(endpoint.scheme == scheme && place == (host, path), "\(place)")
    }

    @Test("A bucket with points stands in the path, since no certificate fits its name")
    func points() throws {
        let endpoint = S3Endpoint.aws(region: "us-east-1")
        let place = endpoint.place(bucket: "my.books", key: nil)
        #expect(place == ("s3.us-east-1.amazonaws.com", "/my.books"))
    }

    @Test(
        "What cannot be used names its variable, and no secret",
        arguments: [
            (["AWS_ACCESS_KEY_ID": "", "AWS_REGION": "x"], "AWS_ACCESS_KEY_ID"),
            (["AWS_SECRET_ACCESS_KEY": "", "AWS_REGION": "x"], "AWS_SECRET_ACCESS_KEY"),
            ([:], "AWS_REGION"), (["AWS_REGION": "Eu west"], "AWS_REGION"),
            (["AWS_REGION": "a/b"], "AWS_REGION"),
            (["DAYBOOK_S3_ENDPOINT": "storage.example.com"], "DAYBOOK_S3_ENDPOINT"),
            (["DAYBOOK_S3_ENDPOINT": "ftp://a"], "DAYBOOK_S3_ENDPOINT"),
            (["DAYBOOK_S3_ENDPOINT": "https://a/b"], "DAYBOOK_S3_ENDPOINT"),
            (["DAYBOOK_S3_ENDPOINT": "https://user:hidden@a"], "DAYBOOK_S3_ENDPOINT"),
            (["DAYBOOK_S3_ENDPOINT": "http://example.com"], "https://"),
            (["DAYBOOK_S3_ENDPOINT": "http://10.0.0.1:9000"], "https://"),
            (["DAYBOOK_S3_ENDPOINT": "http://127.0.0.1.example.com"], "https://"),
            (["DAYBOOK_S3_ENDPOINT": "http://localhost@evil.example"], "DAYBOOK_S3_ENDPOINT"),
            (["AWS_REGION": "x", "DAYBOOK_S3_PATH_STYLE": "yes"], "DAYBOOK_S3_PATH_STYLE"),
        ])
    func refusals(more: [String: String], named: String) {
        let error = #expect(throws: S3Error.self) { try configuration(more) }
        let text = error?.description ?? ""
        #expect(text.contains(named) && !text.contains("hidden"), "\(text)")
    }

    @Test("A certificate file without certificates is refused at once")
    func certificates() throws {
        let configuration = try configuration([
            "AWS_REGION": "x", "SSL_CERT_FILE": "/nowhere/ca.pem",
        ])
        let error = #expect(throws: S3Error.self) { try S3Client(configuration) }
        #expect(error?.description.contains("SSL_CERT_FILE") == true)
    }

    @Test("A place is a bucket and what its keys begin with")
    func locations() throws {
        let location = try S3Location("s3://my-books/a/b c+%20/")
        #expect(location.bucket == "my-books" && location.key == "a/b c+%20")
        #expect(location.description == "s3://my-books/a/b c+%20")
        #expect(try S3Location("S3://books").key == "")
        #expect(try S3Location("s3://books/").description == "s3://books")
    }

    @Test(
        "What is no place says what would be right, and repeats no secret",
        arguments: [
            "s3:/books", "https://books", "s3://", "s3:///a", "s3://Books/a", "s3://bo/a",
            "s3://-books", "s3://bo..oks", "s3://key:hidden@books/a", "s3://books//a",
            "s3://books/a/../b", "s3://books/.", "s3://books/a?X-Amz-Signature=hidden",
            "s3://books/a\nb", "s3://books/" + String(repeating: "a", count: 1_001),
        ])
    func wrongLocations(text: String) {
        let error = #expect(throws: S3Error.self) { try S3Location(text) }
        #expect(error?.description.contains("s3://") == true)
        #expect(error?.description.contains("hidden") == false)
    }

    @Test("Pauses double up to a limit, and at least half of each is kept")
    func pauses() {
        let patience = Patience()
        for count in 1...20 {
            let whole = min(.milliseconds(100) * (1 << (count - 1)), patience.pauseMax)
            #expect((whole / 2...whole).contains(patience.pause(after: count)))
        }
    }

    @Test("Parts are enough for what is known to be large, and for what grows")
    func parts() {
        let terabytes = S3PartPlan(objectByteCount: 5 << 40)
        #expect(UInt64(terabytes.byteCount(ofPart: 1)) * 10_000 >= 5 << 40)
        #expect(S3PartPlan(objectByteCount: 1).byteCount(ofPart: 10_000) == 16 << 20)
        let growing = S3PartPlan()
        #expect(growing.byteCount(ofPart: 5_000) == 16 << 20)
        let total = (1...10_000).reduce(0) { $0 + growing.byteCount(ofPart: $1) }
        #expect(total > 500 << 30)
    }
}
