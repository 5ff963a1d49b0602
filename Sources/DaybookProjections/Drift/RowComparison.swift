import Avro

/// Compares two sides that should have the same rows, in memory that does not grow with them.
///
/// A first pass takes digests, apart by key in 4,096 buckets. Where they differ, and only there, a
/// second one reads both sides again and names the rows.
public struct RowComparison: Sendable {
    /// How much is kept and said.
    public struct Options: Sendable {
        /// How many missing, extra and different rows are given, of each.
        public var sampleLimit = 1000
        /// How many bytes of rows are held at a time to be compared.
        public var memoryByteLimit = 64 << 20

        /// The defaults.
        public init() {}
    }

    /// What is being done, for people who wait.
    public enum Stage: Sendable {
        case readingExpected, readingFound, namingDifferences
    }

    /// Called every 65,536 rows of a stage with their number so far; what it throws ends it.
    public typealias Progress = (_ stage: Stage, _ rowCount: Int) throws -> Void

    let shape: RowLayout
    private let hashKey: RowHashKey
    private let options: Options

    /// A comparison of rows of `shape`, which are hashed under `hashKey`.
    public init(_ shape: RowLayout, hashKey: RowHashKey, options: Options = Options()) {
        precondition(options.sampleLimit >= 0, "a limit is not negative")
        self.shape = shape
        self.hashKey = hashKey
        self.options = options
    }

    /// Compares the rows that should be there with those that are.
    ///
    /// - Throws: what reading a side throws, and `DriftError.malformedRow`.
    public func compare(
        _ expected: some RowSide, _ found: some RowSide, progress: Progress = { _, _ in }
    ) throws -> RowDifferences {
        try compare(expected, found, keeping: nil, progress: progress)
    }

    /// Compares, and keeps the rows that differ for a repair.
    func compare(
        _ expected: some RowSide, _ found: some RowSide, keeping kept: DifferingRows?,
        progress: Progress
    ) throws -> RowDifferences {
        let expectedDigests = try digests(expected, .readingExpected, progress)
        let foundDigests = try digests(found, .readingFound, progress)
        let naming = DifferenceNaming(
            shape, hashKey: hashKey, sampleLimit: options.sampleLimit, kept: kept)
        let groups = groups(expectedDigests.buckets, foundDigests.buckets)
        for group in groups {
            let isWanted = Set(group.buckets)
            func collect(_ side: some RowSide, byteCount: Int) throws -> RowCollection {
                let rows = RowCollection(byteCount: byteCount)
                try scan(side, .namingDifferences, progress) { row in
                    if isWanted.contains(BucketDigests.bucket(ofKey: row.keyHash)) { rows.add(row) }
                }
                return rows
            }
            try naming.name(
                try collect(expected, byteCount: group.expectedByteCount),
                try collect(found, byteCount: group.foundByteCount))
        }
        return naming.finish(expected: expectedDigests.total, found: foundDigests.total)
    }

    private func digests(
        _ side: some RowSide, _ stage: Stage, _ progress: Progress
    ) throws -> BucketDigests {
        let digests = BucketDigests()
        try scan(side, stage, progress) { digests.add($0) }
        return digests
    }

    private func scan(
        _ side: some RowSide, _ stage: Stage, _ progress: Progress,
        _ body: (RowScanner.Row) throws -> Void
    ) throws {
        let scanner = RowScanner(shape, hashKey: hashKey)
        var rowCount = 0
        try side.forEachRow { bytes in
            try body(try scanner.scan(bytes))
            rowCount += 1
            if rowCount & 0xFFFF == 0 { try progress(stage, rowCount) }
        }
    }

    /// Buckets whose rows are held in memory together.
    private struct Group {
        var buckets: [Int] = []
        var expectedByteCount = 0
        var foundByteCount = 0
        var heldByteCount = 0
    }

    /// The buckets that differ, in groups that fit the memory; one alone may be larger.
    private func groups(
        _ expected: [BucketDigests.Bucket], _ found: [BucketDigests.Bucket]
    ) -> [Group] {
        var groups: [Group] = []
        for bucket in expected.indices where expected[bucket].digest != found[bucket].digest {
            let (left, right) = (expected[bucket], found[bucket])
            let heldByteCount =
                left.byteCount + right.byteCount
                + (left.digest.rowCount + right.digest.rowCount) * RowCollection.entryByteCount
            let room = options.memoryByteLimit - (groups.last?.heldByteCount ?? .max)
            if heldByteCount > room { groups.append(Group()) }
            groups[groups.count - 1].buckets.append(bucket)
            groups[groups.count - 1].expectedByteCount += left.byteCount
            groups[groups.count - 1].foundByteCount += right.byteCount
            groups[groups.count - 1].heldByteCount += heldByteCount
        }
        return groups
    }
}

/// Rows held in memory, and where each stands.
final class RowCollection {
    struct Entry {
        let keyHash: UInt128
        let hash: UInt128
        let offset: Int
        let byteCount: Int
    }

    static let entryByteCount = MemoryLayout<Entry>.stride
    private var bytes: ByteSink
    private(set) var entries: [Entry] = []

    init(byteCount: Int) {
        bytes = ByteSink(capacity: byteCount)
    }

    func add(_ row: RowScanner.Row) {
        entries.append(
            Entry(
                keyHash: row.keyHash, hash: row.hash, offset: bytes.count,
                byteCount: row.bytes.count))
        bytes.append(raw: row.bytes)
    }

    /// Puts rows of one key together, and equal rows at the same places on both sides.
    func sort() {
        entries.sort { ($0.keyHash, $0.hash) < ($1.keyHash, $1.hash) }
    }

    /// A row's bytes; valid while nothing is added.
    func row(_ entry: Entry) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            rebasing: bytes.unsafeBytes[entry.offset..<entry.offset + entry.byteCount])
    }
}
