/// A place in object storage: `s3://bucket/key`.
public struct S3Location: Sendable, Hashable, CustomStringConvertible {
    /// The bucket.
    public let bucket: String
    /// The key, or what keys begin with; without a slash at its ends, empty for the whole bucket.
    public let key: String

    /// Parses `s3://bucket/prefix`. A key is taken as it stands, as AWS's own tools do: nothing in
    /// it is percent-encoded.
    ///
    /// - Throws: `.badURL`, which says what would be right and repeats nothing that may be secret.
    public init(_ text: String) throws(S3Error) {
        guard text.lowercased().hasPrefix("s3://") else {
            throw .badURL("a place in object storage is written s3://bucket/prefix")
        }
        let rest = text.dropFirst(5)
        let bucket = rest.prefix { $0 != "/" }
        guard !rest.contains("?") else {
            throw .badURL("an s3:// URL has no query; a presigned URL is given as https://…")
        }
        guard !bucket.contains("@") else {
            throw .badURL(
                "an s3:// URL holds no key; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        }
        try S3Location.check(bucket: String(bucket))
        var key = rest.dropFirst(bucket.count + 1)
        if key.last == "/" { key = key.dropLast() }
        try S3Location.check(key: String(key))
        self.bucket = String(bucket)
        self.key = String(key)
    }

    /// `s3://bucket/key`
    public var description: String { key.isEmpty ? "s3://\(bucket)" : "s3://\(bucket)/\(key)" }

    /// (Amazon S3 User Guide, "General purpose bucket naming rules")
    private static func check(bucket: String) throws(S3Error) {
        let allowed = bucket.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        let ends = [bucket.utf8.first, bucket.utf8.last]
        let marks = [UInt8(ascii: "."), UInt8(ascii: "-")]
        guard allowed, (3...63).contains(bucket.utf8.count), !bucket.contains(".."),
            ends.allSatisfy({ $0.map { !marks.contains($0) } ?? false })
        else {
            throw .badURL(
                "the bucket of an s3:// URL has 3 to 63 lower-case letters, digits, points and "
                    + "hyphens: s3://bucket/prefix")
        }
    }

    private static func check(key: String) throws(S3Error) {
        guard !key.isEmpty else { return }
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard !parts.contains(where: { ["", ".", ".."].contains($0) }) else {
            throw .badURL("the parts of an s3:// URL are not empty, nor `.` or `..`")
        }
        guard key.utf8.count <= 1_000, key.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw .badURL(
                "the key of an s3:// URL has at most 1000 bytes and no control characters")
        }
    }
}
