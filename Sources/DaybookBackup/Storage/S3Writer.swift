import Glibc
import NIOCore
import S3

/// A backup that is being written to a bucket. Its manifest is kept back until `commit`.
final class S3FolderWriter: BackupFolderWriter {
    private let bucket: Bucket
    private let folder: String
    private let backup: String
    private var manifest: S3FileWriter?

    init(bucket: Bucket, folder: String, backup: String) {
        self.bucket = bucket
        self.folder = folder
        self.backup = backup
    }

    func create(_ file: String) throws(BackupStorageError) -> any BackupFileWriter {
        try make(file, plan: S3PartPlan(partByteCount: bucket.partByteCount))
    }

    private func make(
        _ file: String, plan: S3PartPlan
    ) throws(BackupStorageError) -> S3FileWriter {
        let parts = file.split(separator: "/")
        precondition(
            (1...2).contains(parts.count) && !parts.contains(".."),
            "a file stands in the backup or in a folder of it")
        let isManifest = file == S3Storage.manifest
        let writer = S3FileWriter(
            bucket: bucket, key: folder + file, plan: plan, isKeptBack: isManifest)
        if isManifest { manifest = writer }
        return writer
    }

    /// Reads the file into one part's memory and sends it, until all of it is sent.
    func take(
        _ path: String, byteCount: UInt64, as file: String
    ) throws(BackupStorageError) {
        let plan = S3PartPlan(objectByteCount: byteCount, partByteCountMin: bucket.partByteCount)
        let writer = try make(file, plan: plan)
        let source = open(path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw .system(call: "open", path: path, code: errno) }
        defer { close(source) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var left = byteCount
        while left > 0 {
            let count = Glibc.read(source, buffer.baseAddress, min(buffer.count, Int(left)))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw .system(call: "read", path: path, code: count < 0 ? errno : EIO)
            }
            try writer.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            left -= UInt64(count)
        }
        try writer.finish()
    }

    /// Puts the manifest, which must not be there yet.
    func commit() throws(BackupStorageError) {
        guard let manifest, manifest.isFinished else {
            throw .remote("\(backup) has no manifest, so it cannot be shown")
        }
        let (bucket, key, bytes) = (bucket, folder + S3Storage.manifest, manifest.bytes)
        let isOurs = try remote { () async throws(S3Error) in
            try await bucket.client.put(key, in: bucket.name, bytes, isNew: true)
        }
        guard isOurs else { throw .exists(backup) }
    }

    /// Gives uploads up and deletes what was put, as far as the storage can be reached. What is
    /// under a manifest is not ours to take away.
    func abandon() {
        let (bucket, folder) = (bucket, folder)
        let found = try? remote { () async throws(S3Error) in
            try await bucket.client.list(folder, in: bucket.name).objects.map(\.key)
        }
        guard let found, !found.contains(folder + S3Storage.manifest) else { return }
        try? bucket.clear(folder, of: found)
    }
}

/// A file under way: what fits one part is put whole, and more is sent part by part.
final class S3FileWriter: BackupFileWriter {
    private let bucket: Bucket
    private let key: String
    private let plan: S3PartPlan
    private let isKeptBack: Bool
    private var upload: S3Upload?
    private var parts: [S3Part] = []
    private(set) var bytes = ByteBuffer()
    private(set) var isFinished = false

    /// A manifest has facts of files and none of rows; this is far more than it needs.
    private static let keptByteCountMax = 256 << 20

    init(bucket: Bucket, key: String, plan: S3PartPlan, isKeptBack: Bool) {
        self.bucket = bucket
        self.key = key
        self.plan = plan
        self.isKeptBack = isKeptBack
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(BackupStorageError) {
        precondition(!isFinished, "nothing is written to a finished file")
        var rest = bytes[...]
        while !rest.isEmpty {
            let room = capacity - self.bytes.readableBytes
            // A part is sent when more is to come: so the last one has at least a byte.
            if room == 0 {
                try sendPart()
                continue
            }
            self.bytes.writeBytes(UnsafeRawBufferPointer(rebasing: rest.prefix(room)))
            rest = rest.dropFirst(room)
        }
    }

    func finish() throws(BackupStorageError) {
        precondition(!isFinished, "a file is finished once")
        isFinished = true
        if isKeptBack { return }
        let (bucket, key) = (bucket, key)
        guard let upload else {
            let bytes = bytes
            _ = try remote { () async throws(S3Error) in
                try await bucket.client.put(key, in: bucket.name, bytes)
            }
            self.bytes = ByteBuffer()
            return
        }
        try sendPart()
        let parts = parts
        try remote { () async throws(S3Error) in
            try await bucket.client.complete(upload, in: bucket.name, parts: parts)
        }
    }

    private var capacity: Int {
        isKeptBack ? S3FileWriter.keptByteCountMax : plan.byteCount(ofPart: parts.count + 1)
    }

    private func sendPart() throws(BackupStorageError) {
        guard !isKeptBack else { throw .remote("\(key) is too large for a manifest") }
        let (bucket, key) = (bucket, key)
        let upload: S3Upload
        if let known = self.upload {
            upload = known
        } else {
            upload = try remote { () async throws(S3Error) in
                try await bucket.client.beginUpload(key, in: bucket.name)
            }
            self.upload = upload
        }
        let (number, part) = (parts.count + 1, bytes)
        parts.append(
            try remote { () async throws(S3Error) in
                try await bucket.client.uploadPart(number, of: upload, in: bucket.name, part)
            })
        bytes.clear()
    }
}
