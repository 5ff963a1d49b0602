import NIOCore

/// An object that is being written in parts.
public struct S3Upload: Sendable, Hashable {
    /// Its key.
    public let key: String
    /// What the storage calls the upload.
    public let id: String
}

/// A part that the storage has.
public struct S3Part: Sendable, Hashable {
    /// From 1.
    public let number: Int
    /// What the storage calls it.
    public let etag: String
    /// How many bytes it has.
    public let byteCount: Int
}

/// How an object is cut into parts: at most 10,000, each but the last of at least 5 MiB.
/// (Amazon S3 User Guide, "Multipart upload limits")
public struct S3PartPlan: Sendable {
    /// The most parts that an object can have.
    public static let partCountMax = 10_000

    private let byteCount: Int
    private let growsAfter: Int

    /// For an object of so many bytes: parts of one size, of 16 MiB unless there would be too many.
    public init(objectByteCount: UInt64, partByteCountMin: Int = 16 << 20) {
        let needed =
            (objectByteCount + UInt64(S3PartPlan.partCountMax) - 1)
            / UInt64(S3PartPlan.partCountMax)
        byteCount = max(Int(needed), partByteCountMin)
        growsAfter = S3PartPlan.partCountMax
    }

    /// For an object whose size nobody knows yet: 16 MiB a part up to the 5,000th, so that storage
    /// which wants parts of one size is content, and then more, so that 500 GiB fit.
    public init(partByteCount: Int = 16 << 20) {
        byteCount = partByteCount
        growsAfter = 5_000
    }

    /// How many bytes a part has, unless it is the last; `number` counts from 1.
    public func byteCount(ofPart number: Int) -> Int {
        byteCount * (1 + max(0, number - growsAfter) / 500)
    }
}

extension S3Client {
    /// Begins an object in parts. (CreateMultipartUpload)
    public func beginUpload(_ key: String, in bucket: String) async throws(S3Error) -> S3Upload {
        let what = "s3://\(bucket)/\(key)"
        let answer = try await send(
            S3Request(
                method: .post, bucket: bucket, key: key, query: [("uploads", "")], what: what))
        guard let id = try answer.document()["UploadId"], !id.isEmpty else {
            throw .malformedAnswer("\(what): the storage began no upload")
        }
        return S3Upload(key: key, id: id)
    }

    /// Sends a part. (UploadPart)
    public func uploadPart(
        _ number: Int, of upload: S3Upload, in bucket: String, _ bytes: ByteBuffer
    ) async throws(S3Error) -> S3Part {
        let what = "s3://\(bucket)/\(upload.key)"
        guard number <= S3PartPlan.partCountMax else {
            throw .malformedAnswer("\(what) would have more parts than an object can have")
        }
        let answer = try await send(
            S3Request(
                method: .put, bucket: bucket, key: upload.key,
                query: [("partNumber", "\(number)"), ("uploadId", upload.id)], body: bytes,
                what: what))
        guard let etag = answer.headers["etag"] else {
            throw .malformedAnswer("\(what): the storage does not name the part it took")
        }
        return S3Part(number: number, etag: etag, byteCount: bytes.readableBytes)
    }

    /// Makes the object of its parts, which is visible then. (CompleteMultipartUpload)
    public func complete(
        _ upload: S3Upload, in bucket: String, parts: [S3Part]
    ) async throws(S3Error) {
        let list = parts.map { part in
            "<Part><PartNumber>\(part.number)</PartNumber>"
                + "<ETag>\(XMLNode.escape(part.etag))</ETag></Part>"
        }
        let request = S3Request(
            method: .post, bucket: bucket, key: upload.key, query: [("uploadId", upload.id)],
            body: ByteBuffer(
                string: "<CompleteMultipartUpload>\(list.joined())</CompleteMultipartUpload>"),
            what: "s3://\(bucket)/\(upload.key)")
        let answer = try await exchange(request)
        if answer.status == 404, answer.earlierTries > 0 {
            // The try before may have been carried out: the upload is gone and the object there.
            let byteCount = parts.reduce(0) { $0 + $1.byteCount }
            if try await head(upload.key, in: bucket)?.byteCount == UInt64(byteCount) { return }
        }
        // The status comes before the work is done, so an error may stand in an answer of 200.
        guard answer.isDone, try answer.document().name == "CompleteMultipartUploadResult" else {
            throw answer.refusal(of: request.what)
        }
    }

    /// Gives an upload up and takes its parts away. (AbortMultipartUpload)
    public func abort(_ upload: S3Upload, in bucket: String) async throws(S3Error) {
        let request = S3Request(
            method: .delete, bucket: bucket, key: upload.key, query: [("uploadId", upload.id)],
            what: "s3://\(bucket)/\(upload.key)")
        let answer = try await exchange(request)
        guard answer.isDone || answer.status == 404 else {
            throw answer.refusal(of: request.what)
        }
    }

    /// Uploads that were begun under a prefix and not ended. (ListMultipartUploads)
    public func uploads(
        _ prefix: String, in bucket: String
    ) async throws(S3Error) -> [S3Upload] {
        var uploads: [S3Upload] = []
        var markers: [(name: String, value: String)] = []
        for _ in 0..<1_000 {
            var request = S3Request(
                method: .get, bucket: bucket, query: [("uploads", ""), ("prefix", prefix)],
                what: "listing uploads in s3://\(bucket)/\(prefix)")
            request.query += markers
            request.answerByteCountMax = 16 << 20
            let page = try await send(request).document()
            for node in page.all("Upload") {
                guard let key = node["Key"], let id = node["UploadId"] else { continue }
                // Some storage gives those of the whole bucket, whatever it is asked for.
                if key.hasPrefix(prefix) { uploads.append(S3Upload(key: key, id: id)) }
            }
            guard page["IsTruncated"] == "true", let key = page["NextKeyMarker"],
                let id = page["NextUploadIdMarker"]
            else { return uploads }
            markers = [("key-marker", key), ("upload-id-marker", id)]
        }
        throw .tooLarge(what: "the listing of uploads in s3://\(bucket)", byteCountMax: 1_000_000)
    }
}
