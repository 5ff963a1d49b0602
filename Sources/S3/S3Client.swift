import AsyncHTTPClient
import Crypto
import Foundation
import NIOCore

/// What is known of an object.
public struct S3Object: Sendable, Hashable {
    /// Its key.
    public let key: String
    /// How many bytes it has.
    public let byteCount: UInt64
    /// What changes when it is written again.
    public let etag: String
}

/// A client of object storage that speaks S3: Amazon's, or another's.
///
/// Requests are signed by SigV4 with the digest of their body. What may pass (5xx, 429, lost
/// connections) is tried again; redirects are not followed; answers are bounded.
public struct S3Client: Sendable {
    /// Who asks, where, and how patiently.
    public let configuration: S3Configuration
    let http: HTTPClient
    let clock: S3Clock

    /// A client; nothing is sent yet.
    ///
    /// - Throws: `.configuration` if the certificate file cannot be used.
    public init(_ configuration: S3Configuration, clock: S3Clock = .system) throws(S3Error) {
        self.configuration = configuration
        self.clock = clock
        http = try HTTPTransport.client(certificateFile: configuration.certificateFile)
    }

    /// What is known of an object; nil if it is not there. (HeadObject)
    public func head(_ key: String, in bucket: String) async throws(S3Error) -> S3Object? {
        let request = S3Request(
            method: .head, bucket: bucket, key: key, what: "s3://\(bucket)/\(key)")
        let answer = try await exchange(request)
        if answer.status == 404 { return nil }
        guard answer.isDone else { throw answer.refusal(of: request.what) }
        guard let byteCount = answer.headers["content-length"].flatMap({ UInt64($0) }) else {
            throw .malformedAnswer("\(request.what): the storage does not say how long it is")
        }
        return S3Object(key: key, byteCount: byteCount, etag: answer.headers["etag"] ?? "")
    }

    /// A part of an object: fewer bytes than asked for only at its end, none behind it.
    /// (GetObject)
    ///
    /// - Parameter etag: what the object must be still; of any age if nil.
    /// - Throws: `.changed` if it is another by now.
    public func get(
        _ key: String, in bucket: String, range: Range<UInt64>, etag: String? = nil
    ) async throws(S3Error) -> ByteBuffer {
        guard !range.isEmpty else { return ByteBuffer() }
        var request = S3Request(
            method: .get, bucket: bucket, key: key, what: "s3://\(bucket)/\(key)")
        request.headers = [("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
        if let etag { request.headers.append(("if-match", etag)) }
        request.answerByteCountMax = range.count
        let answer = try await exchange(request)
        if answer.status == 416 { return ByteBuffer() }
        if answer.status == 412 { throw .changed(what: request.what) }
        guard answer.isDone else { throw answer.refusal(of: request.what) }
        // Without the range we would take the object's beginning for any of its parts.
        guard answer.status == 206, let part = ContentRange(answer.headers["content-range"]),
            part.first == range.lowerBound, part.end == min(range.upperBound, part.total),
            answer.body.readableBytes == part.end - part.first
        else {
            throw .malformedAnswer("\(request.what): the storage gave another part than asked for")
        }
        return answer.body
    }

    /// Writes an object whole. (PutObject)
    ///
    /// - Parameter isNew: whether it must not be there yet. Storage that cannot hold to that
    ///   (status 501) writes it all the same.
    /// - Returns: false if `isNew` and another object is there.
    @discardableResult
    public func put(
        _ key: String, in bucket: String, _ bytes: ByteBuffer, isNew: Bool = false
    ) async throws(S3Error) -> Bool {
        var request = S3Request(
            method: .put, bucket: bucket, key: key, body: bytes, what: "s3://\(bucket)/\(key)")
        if isNew { request.headers = [("if-none-match", "*")] }
        var answer = try await exchange(request)
        if isNew, answer.status == 501 {
            request.headers = []
            answer = try await exchange(request)
        }
        if isNew, answer.status == 412 {
            // An earlier try may have been carried out, and what is there be ours.
            guard answer.earlierTries > 0 else { return false }
            let there = try await get(
                key, in: bucket, range: 0..<UInt64(bytes.readableBytes + 1))
            return there == bytes
        }
        guard answer.isDone else { throw answer.refusal(of: request.what) }
        return true
    }

    /// Removes objects, up to 1,000 in one request; one that is not there is no error.
    /// (DeleteObject, DeleteObjects)
    public func delete(_ keys: [String], in bucket: String) async throws(S3Error) {
        if keys.count == 1 {
            _ = try await send(
                S3Request(
                    method: .delete, bucket: bucket, key: keys[0],
                    what: "s3://\(bucket)/\(keys[0])"))
            return
        }
        var rest = keys[...]
        while !rest.isEmpty {
            let group = rest.prefix(1_000)
            rest = rest.dropFirst(group.count)
            let objects = group.map { "<Object><Key>\(XMLNode.escape($0))</Key></Object>" }.joined()
            let body = ByteBuffer(string: "<Delete>\(objects)<Quiet>true</Quiet></Delete>")
            var request = S3Request(
                method: .post, bucket: bucket, query: [("delete", "")], body: body,
                what: "deleting in s3://\(bucket)")
            var hash = Insecure.MD5()
            body.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
            request.headers = [("content-md5", Data(hash.finalize()).base64EncodedString())]
            request.answerByteCountMax = 4 << 20
            let answer = try await send(request)
            guard let fault = try answer.document().first("Error") else { continue }
            throw .refused(
                status: answer.status, code: fault["Code"] ?? "", message: fault["Message"] ?? "",
                what: "s3://\(bucket)/\(fault["Key"] ?? "")")
        }
    }
}

/// `bytes 0-99/1000` (RFC 9110, 14.4)
struct ContentRange: Equatable {
    let first: UInt64
    let end: UInt64
    let total: UInt64

    init?(_ text: String?) {
        guard let text, text.hasPrefix("bytes ") else { return nil }
        let numbers = text.dropFirst(6).split(
            omittingEmptySubsequences: false, whereSeparator: { $0 == "-" || $0 == "/" })
        guard numbers.count == 3, let first = UInt64(numbers[0]), let last = UInt64(numbers[1]),
            let total = UInt64(numbers[2]), first <= last, last < total
        else { return nil }
        self.first = first
        end = last + 1
        self.total = total
    }
}
