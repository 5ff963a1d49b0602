import Foundation
import TestSupport
import Testing

@testable import S3

/// Signatures against those that AWS publishes, and against botocore's own signer.
@Suite struct SigV4Tests {
    struct Published: Sendable, CustomTestStringConvertible {
        let name: String
        let service: String
        let request: SignableRequest
        let timestamp: String
        let signature: String

        var testDescription: String { name }
    }

    static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// The first are of AWS's "Signature Version 4 test suite", the others of the Amazon S3 API
    /// Reference, "Signature Calculations for the Authorization Header".
    static let published: [Published] = [
        suite("get-vanilla", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        suite(
            "get-vanilla-query-order-key-case",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            query: [("Param2", "value2"), ("Param1", "value1")]),
        suite(
            "post-vanilla", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            method: "POST"),
        s3(
            "GET Object", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            path: "/test.txt", headers: [("Range", "bytes=0-9")]),
        s3(
            "PUT Object", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            method: "PUT", path: "/test%24file.text",
            headers: [
                ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ], payload: "Welcome to Amazon S3."),
        s3(
            "GET Bucket Lifecycle",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            query: [("lifecycle", "")]),
        s3(
            "Get Bucket (List Objects)",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            query: [("max-keys", "2"), ("prefix", "J")]),
    ]

    static func suite(
        _ name: String, _ signature: String, method: String = "GET",
        query: [(name: String, value: String)] = []
    ) -> Published {
        let time = "20150830T123600Z"
        return Published(
            name: name, service: "service",
            request: SignableRequest(
                method: method, path: "/", query: query,
                headers: [("Host", "example.amazonaws.com"), ("X-Amz-Date", time)],
                payloadDigest: empty),
            timestamp: time, signature: signature)
    }

    static func s3(
        _ name: String, _ signature: String, method: String = "GET", path: String = "/",
        query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)] = [], payload: String = ""
    ) -> Published {
        let time = "20130524T000000Z"
        let digest = Hex.sha256(Array(payload.utf8))
        return Published(
            name: name, service: "s3",
            request: SignableRequest(
                method: method, path: path, query: query,
                headers: headers + [
                    ("Host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", time),
                    ("x-amz-content-sha256", digest),
                ], payloadDigest: digest),
            timestamp: time, signature: signature)
    }

    @Test("A request is signed as AWS publishes it", arguments: published)
    func vectors(published: Published) {
        let isSuite = published.service == "service"
        let secret =
            isSuite
            ? "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
            : "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        let signer = SigV4(
            credentials: Credentials(
                accessKeyID: isSuite ? "AKIDEXAMPLE" : "AKIAIOSFODNN7EXAMPLE",
                secretAccessKey: secret),
            region: "us-east-1", service: published.service)
        let value = signer.authorization(published.request, timestamp: published.timestamp)
        #expect(value.hasSuffix("Signature=\(published.signature)"), "\(value)")
    }

    /// One random request, in the form that the Python side reads.
    private struct Sample: Encodable {
        let method: String
        let key: String
        let query: [[String]]
        let headers: [[String]]
        let body: String
        let token: String?
        let timestamp: String
    }

    @Test("Random requests are signed as botocore signs them")
    func botocore() throws {
        var generator = SeededGenerator()
        let samples = (0..<200).map { _ in SigV4Tests.sample(&generator) }
        let script = "\(packageRoot)/Tests/S3Tests/scripts/botocore_sign.py"
        let result = try runTool(pythonPath, [script], input: JSONEncoder().encode(samples))
        #expect(result.status == 0, "\(result.errorText)")
        let expected = result.text.split(separator: "\n").map(String.init)
        #expect(expected.count == samples.count)
        for (sample, line) in zip(samples, expected) {
            #expect(SigV4Tests.ours(sample) == line, "seed \(generator.seed): \(sample)")
        }
    }

    private static func sample(_ generator: inout SeededGenerator) -> Sample {
        let letters = Array("abcXYZ019 -._~/+%&=?#@:;,!*'()[]$\"<>\\^`{|}éß日本🎉")
        func word(_ range: ClosedRange<Int>) -> String {
            let count = Int.random(in: range, using: &generator)
            return String((0..<count).map { _ in letters.randomElement(using: &generator) ?? "a" })
        }
        let names = ["prefix", "partNumber", "uploads", "a", "A", "é", "list-type"]
        let chosen = names.shuffled(using: &generator)
            .prefix(Int.random(in: 0...4, using: &generator))
        let headers = [
            ["range", "bytes=0-9"], ["x-amz-meta-a", "  b   c "], ["if-match", "\"e\""],
        ]
        let methods = ["GET", "PUT", "POST", "DELETE", "HEAD"]
        let minute = Int.random(in: 10...59, using: &generator)
        return Sample(
            method: methods.randomElement(using: &generator) ?? "GET", key: "k" + word(0...20),
            query: chosen.map { [$0, word(0...8)] },
            headers: Array(headers.shuffled(using: &generator).prefix(2)),
            body: word(0...40), token: Bool.random(using: &generator) ? "token+/=" : nil,
            timestamp: "20261125T12\(minute)01Z")
    }

    private static func ours(_ sample: Sample) -> String {
        let digest = Hex.sha256(Array(sample.body.utf8))
        var headers: [(name: String, value: String)] = sample.headers.map { ($0[0], $0[1]) }
        headers += [
            ("host", "127.0.0.1:9000"), ("x-amz-content-sha256", digest),
            ("x-amz-date", sample.timestamp),
        ]
        if let token = sample.token { headers.append(("x-amz-security-token", token)) }
        let request = SignableRequest(
            method: sample.method, path: "/books/" + PercentEncoding.path(sample.key),
            query: sample.query.map { ($0[0], $0[1]) }, headers: headers, payloadDigest: digest)
        let signer = SigV4(
            credentials: Credentials(accessKeyID: "AKID", secretAccessKey: "secret/+="),
            region: "eu-central-1", service: "s3")
        return signer.authorization(request, timestamp: sample.timestamp)
    }

    @Test("Credentials never show their secrets")
    func secrets() {
        let credentials = Credentials(
            accessKeyID: "AKID", secretAccessKey: "hidden", sessionToken: "hidden")
        var dumped = ""
        dump(credentials, to: &dumped)
        let shown = "\(credentials) \(String(reflecting: credentials)) \(dumped)"
        #expect(shown.contains("AKID"))
        #expect(!shown.contains("hidden"))
    }

    @Test("A timestamp is in UTC, in the form that signatures have")
    func timestamp() {
        #expect(S3Clock { 1_369_353_600 }.timestamp() == "20130524T000000Z")
        #expect(S3Clock { 1_709_210_096 }.timestamp() == "20240229T123456Z")
    }
}
