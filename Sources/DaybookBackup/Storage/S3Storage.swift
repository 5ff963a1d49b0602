import NIOCore
import S3

/// Backups in a bucket, each under a prefix of its own: `prefix/<backup>/<file>`.
///
/// A bucket has no folders and renames nothing, so a backup is there when its `manifest.json` is.
/// The manifest is the last that is written and the first that is removed: between the two
/// everything else is whole.
public final class S3Storage: BackupStorage {
    /// `s3://bucket/prefix`
    public let name: String

    static let manifest = "manifest.json"
    private static let concurrencyMax = 8

    private let bucket: Bucket
    /// Ends with a slash, unless it is empty.
    private let prefix: String
    private let ahead = ReadAhead()

    /// Backups under a place in a bucket; nothing is asked yet.
    ///
    /// - Parameter partByteCount: how much of a file is held in memory and sent at a time; at least
    ///   5 MiB, or storage refuses the parts.
    public init(_ location: S3Location, client: S3Client, partByteCount: Int = 16 << 20) {
        name = location.description
        bucket = Bucket(client: client, name: location.bucket, partByteCount: partByteCount)
        prefix = location.key.isEmpty ? "" : location.key + "/"
    }

    /// Prefixes with a manifest: one request for the prefixes, and one for each.
    public func backups() throws(BackupStorageError) -> [String] {
        let (bucket, prefix) = (bucket, prefix)
        return try remote { () async throws(S3Error) -> [String] in
            let found = try await bucket.client.list(prefix, in: bucket.name, delimiter: "/")
            let names = found.prefixes.map { String($0.dropFirst(prefix.count).dropLast()) }
            return try await S3Storage.filter(names) { name throws(S3Error) in
                let key = "\(prefix)\(name)/\(S3Storage.manifest)"
                return try await bucket.client.head(key, in: bucket.name) != nil
            }.sorted()
        }
    }

    /// Names for which a question is answered by yes; a few are asked at a time.
    private static func filter(
        _ names: [String], _ question: @escaping @Sendable (String) async throws(S3Error) -> Bool
    ) async throws(S3Error) -> [String] {
        let answers = await withTaskGroup(of: Result<String?, S3Error>.self) { group in
            var answers: [Result<String?, S3Error>] = []
            for (index, name) in names.enumerated() {
                if index >= concurrencyMax, let answer = await group.next() {
                    answers.append(answer)
                }
                group.addTask {
                    do throws(S3Error) {
                        return .success(try await question(name) ? name : nil)
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for await answer in group { answers.append(answer) }
            return answers
        }
        var kept: [String] = []
        for answer in answers {
            if let name = try answer.get() { kept.append(name) }
        }
        return kept
    }

    /// Objects under the backup's prefix, if the manifest is one of them.
    public func files(of backup: String) throws(BackupStorageError) -> [BackupFileFacts] {
        let folder = try folder(backup)
        let files = try objects(in: folder).map {
            BackupFileFacts(name: String($0.key.dropFirst(folder.count)), byteCount: $0.byteCount)
        }
        guard files.contains(where: { $0.name == S3Storage.manifest }) else { return [] }
        return files.sorted { $0.name < $1.name }
    }

    /// Reads by ranged requests, of which each fetches more than it was asked for: callers read on.
    public func read(
        _ file: String, of backup: String, at offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(BackupStorageError) -> Int {
        let (bucket, key) = (bucket, try folder(backup) + file)
        return try ahead.read(key, at: offset, into: buffer) { range throws(BackupStorageError) in
            try remote { () async throws(S3Error) in
                try await bucket.client.get(key, in: bucket.name, range: range)
            }
        }
    }

    /// Takes away what a crash left under the name: objects without a manifest, and uploads.
    public func begin(_ backup: String) throws(BackupStorageError) -> any BackupFolderWriter {
        let folder = try folder(backup)
        let found = try objects(in: folder)
        guard !found.contains(where: { $0.key == folder + S3Storage.manifest }) else {
            throw .exists(backup)
        }
        ahead.forget(folder)
        try bucket.clear(folder, of: found.map(\.key))
        return S3FolderWriter(bucket: bucket, folder: folder, backup: backup)
    }

    /// Nothing: who writes into a bucket, and whether they still do, is not to be seen there.
    public func clearRemains() throws(BackupStorageError) -> Int { 0 }

    /// Removes the manifest, so that nobody sees a part of it, and then the rest.
    public func remove(_ backup: String) throws(BackupStorageError) {
        let folder = try folder(backup)
        let found = try objects(in: folder)
        guard !found.isEmpty else { throw .notFound("\(name)/\(backup) is not there") }
        ahead.forget(folder)
        let (bucket, manifest) = (bucket, folder + S3Storage.manifest)
        if found.contains(where: { $0.key == manifest }) {
            try remote { () async throws(S3Error) in
                try await bucket.client.delete([manifest], in: bucket.name)
            }
        }
        try bucket.clear(folder, of: found.map(\.key).filter { $0 != manifest })
    }

    private func objects(in folder: String) throws(BackupStorageError) -> [S3Object] {
        let bucket = bucket
        return try remote { () async throws(S3Error) in
            try await bucket.client.list(folder, in: bucket.name).objects
        }
    }

    private func folder(_ backup: String) throws(BackupStorageError) -> String {
        guard !backup.isEmpty, !backup.contains("/"), backup != ".", backup != ".." else {
            throw .notFound("\(backup) is no name of a backup")
        }
        return "\(prefix)\(backup)/"
    }
}

/// The bucket, and how files are sent to it.
struct Bucket: Sendable {
    let client: S3Client
    let name: String
    let partByteCount: Int

    /// Removes objects, and what was begun under a prefix.
    func clear(_ folder: String, of keys: [String]) throws(BackupStorageError) {
        try remote { () async throws(S3Error) in
            if !keys.isEmpty { try await client.delete(keys, in: name) }
            for upload in try await client.uploads(folder, in: name) {
                try await client.abort(upload, in: name)
            }
        }
    }
}

/// Waits for the storage; its errors as ours.
func remote<Value: Sendable>(
    _ body: @escaping @Sendable () async throws(S3Error) -> Value
) throws(BackupStorageError) -> Value {
    do throws(S3Error) {
        return try Blocking.wait(body)
    } catch {
        throw error.isMissingObject
            ? .notFound(error.description) : .remote(error.description)
    }
}
