/// What a bucket holds under a prefix.
public struct S3Listing: Sendable, Equatable {
    /// The objects, in order of their keys.
    public var objects: [S3Object] = []
    /// What stands for keys that go on behind the delimiter, that included.
    public var prefixes: [String] = []
}

extension S3Client {
    /// Everything whose key begins with `prefix`; with a delimiter, what goes on behind it is one
    /// prefix. (ListObjectsV2)
    ///
    /// - Throws: `.tooLarge` beyond ten million keys.
    public func list(
        _ prefix: String, in bucket: String, delimiter: String? = nil
    ) async throws(S3Error) -> S3Listing {
        var listing = S3Listing()
        var continuation: String?
        for _ in 0..<10_000 {
            var request = S3Request(
                method: .get, bucket: bucket, query: [("list-type", "2"), ("prefix", prefix)],
                what: "listing s3://\(bucket)/\(prefix)")
            if let delimiter { request.query.append(("delimiter", delimiter)) }
            if let continuation { request.query.append(("continuation-token", continuation)) }
            request.answerByteCountMax = 16 << 20
            let page = try await send(request).document()
            guard page.name == "ListBucketResult" else {
                throw .malformedAnswer("\(request.what): the answer is no listing")
            }
            for node in page.all("Contents") {
                guard let key = node["Key"], let byteCount = node["Size"].flatMap({ UInt64($0) })
                else {
                    throw .malformedAnswer("\(request.what): an object lacks its key or size")
                }
                listing.objects.append(
                    S3Object(key: key, byteCount: byteCount, etag: node["ETag"] ?? ""))
            }
            listing.prefixes += page.all("CommonPrefixes").compactMap { $0["Prefix"] }
            guard page["IsTruncated"] == "true" else { return listing }
            guard let next = page["NextContinuationToken"], next != continuation else {
                throw .malformedAnswer("\(request.what): a page does not say where the next begins")
            }
            continuation = next
        }
        throw .tooLarge(what: "the listing of s3://\(bucket)/\(prefix)", byteCountMax: 10_000_000)
    }
}
