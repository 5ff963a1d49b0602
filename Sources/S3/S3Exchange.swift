import AsyncHTTPClient
import NIOCore

/// One request to the storage, before it is signed.
struct S3Request: Sendable {
    enum Method: String {
        case get = "GET"
        case head = "HEAD"
        case put = "PUT"
        case post = "POST"
        case delete = "DELETE"
    }

    var method: Method
    var bucket: String
    var key: String?
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    var body = ByteBuffer()
    /// The most that is taken of an answer that went well.
    var answerByteCountMax = 64 << 10
    /// What is asked, for the text of errors.
    var what: String
}

/// What the storage answered.
struct S3Answer: Sendable {
    let status: Int
    let headers: [String: String]
    let body: ByteBuffer
    /// How often it was tried before: an earlier try may have been carried out.
    let earlierTries: Int

    var isDone: Bool { (200..<300).contains(status) }

    func document() throws(S3Error) -> XMLNode { try XMLNode(document: body.readableBytesView) }

    /// The storage's reason, which an answer to HEAD does not have.
    func refusal(of what: String) -> S3Error {
        let document = isDone && body.readableBytes == 0 ? nil : try? document()
        let isError = document?.name == "Error"
        return .refused(
            status: status, code: S3Answer.tame(isError ? document?["Code"] : nil) ?? usualCode,
            message: S3Answer.tame(isError ? document?["Message"] : nil) ?? "", what: what)
    }

    private var usualCode: String {
        switch status {
        case 301, 307: "PermanentRedirect"
        case 403: "Forbidden"
        case 404: "NotFound"
        case 412: "PreconditionFailed"
        case 429, 503: "SlowDown"
        default: "status \(status)"
        }
    }

    /// Text of a stranger, before it is shown: short, in one line, nothing that steers a terminal.
    private static func tame(_ text: String?) -> String? {
        guard let text, !text.isEmpty else { return nil }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(300).map { $0.properties.isWhitespace ? " " : $0 }
                    .filter { $0.properties.generalCategory != .control }))
    }
}

extension S3Client {
    /// Sends a request, again if need be; an answer that went well.
    func send(_ request: S3Request) async throws(S3Error) -> S3Answer {
        let answer = try await exchange(request)
        guard answer.isDone else { throw answer.refusal(of: request.what) }
        return answer
    }

    /// Sends a request until there is an answer that will not change by waiting, whatever it says.
    func exchange(_ request: S3Request) async throws(S3Error) -> S3Answer {
        let patience = configuration.patience
        let end = ContinuousClock.now + patience.total
        var tries = 0
        while true {
            var pause = patience.pause(after: tries + 1)
            let fault: S3Error
            do throws(S3Error) {
                let answer = try await once(request, earlierTries: tries)
                guard isPassing(answer, to: request) else { return answer }
                fault = answer.refusal(of: request.what)
                if let seconds = answer.headers["retry-after"].flatMap({ Int($0) }), seconds >= 0 {
                    pause = max(pause, min(.seconds(seconds), patience.pauseMax))
                }
            } catch {
                guard case .unreachable = error else { throw error }
                fault = error
            }
            tries += 1
            guard tries < patience.tryCountMax, ContinuousClock.now + pause < end else {
                throw fault
            }
            do { try await Task.sleep(for: pause) } catch { throw fault }
        }
    }

    /// Whether an answer may be another one the next time.
    private func isPassing(_ answer: S3Answer, to request: S3Request) -> Bool {
        switch answer.status {
        case 200 where request.method == .post && answer.body.readableBytes < 64 << 10:
            // A long work begins its answer before it is done. (CompleteMultipartUpload)
            guard case .refused(_, "InternalError", _, _) = answer.refusal(of: "") else {
                return false
            }
            return true
        case 429, 500, 502, 503, 504: return true
        case 400:
            // A body that came too slowly. (Amazon S3 API Reference, "Error responses")
            guard case .refused(_, "RequestTimeout", _, _) = answer.refusal(of: "") else {
                return false
            }
            return true
        default: return false
        }
    }

    private func once(
        _ request: S3Request, earlierTries: Int
    ) async throws(S3Error) -> S3Answer {
        let (host, signed) = sign(request)
        do {
            let response = try await http.execute(
                signed, deadline: .now() + tryLimit(request), logger: nil)
            let status = Int(response.status.code)
            let limit = (200..<300).contains(status) ? request.answerByteCountMax : 64 << 10
            var headers: [String: String] = [:]
            for (name, value) in response.headers { headers[name.lowercased()] = value }
            var body = ByteBuffer()
            if request.method != .head {
                for try await piece in response.body {
                    guard body.readableBytes + piece.readableBytes <= limit else {
                        throw S3Error.malformedAnswer(
                            "\(request.what): the answer has more than \(limit) bytes")
                    }
                    body.writeImmutableBuffer(piece)
                }
            }
            return S3Answer(
                status: status, headers: headers, body: body, earlierTries: earlierTries)
        } catch let error as S3Error {
            throw error
        } catch {
            throw HTTPTransport.fault(error, host: host)
        }
    }

    /// How long one try may take: a minute, and what 256 KiB a second need.
    private func tryLimit(_ request: S3Request) -> TimeAmount {
        let byteCount = max(request.body.readableBytes, request.answerByteCountMax)
        return .seconds(60 + Int64(byteCount >> 18))
    }

    /// The request as it is sent: all its headers are signed, and the digest of its body.
    private func sign(_ request: S3Request) -> (host: String, request: HTTPClientRequest) {
        let endpoint = configuration.endpoint
        let (host, path) = endpoint.place(bucket: request.bucket, key: request.key)
        let timestamp = clock.timestamp()
        let digest = request.body.withUnsafeReadableBytes { Hex.sha256($0) }
        var headers = request.headers
        headers += [
            ("host", host), ("x-amz-content-sha256", digest), ("x-amz-date", timestamp),
        ]
        if let token = configuration.credentials.sessionToken {
            headers.append(("x-amz-security-token", token))
        }
        let signable = SignableRequest(
            method: request.method.rawValue, path: path, query: request.query, headers: headers,
            payloadDigest: digest)
        let signer = SigV4(
            credentials: configuration.credentials, region: configuration.region, service: "s3")
        headers.append(("authorization", signer.authorization(signable, timestamp: timestamp)))
        let query = signable.canonicalQuery
        var result = HTTPClientRequest(
            url: "\(endpoint.scheme)://\(host)\(path)" + (query.isEmpty ? "" : "?\(query)"))
        switch request.method {
        case .get: result.method = .GET
        case .head: result.method = .HEAD
        case .put: result.method = .PUT
        case .post: result.method = .POST
        case .delete: result.method = .DELETE
        }
        for (name, value) in headers { result.headers.add(name: name, value: value) }
        if request.method == .put || request.method == .post { result.body = .bytes(request.body) }
        return (host, result)
    }
}
