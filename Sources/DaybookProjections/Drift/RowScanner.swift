import Avro

/// Finds a row's key and hashes both, with buffers of its own that every row uses again.
final class RowScanner {
    /// A row as it passes by.
    struct Row {
        let bytes: UnsafeRawBufferPointer
        let hash: UInt128
        let keyHash: UInt128
    }

    private let shape: RowLayout
    private let hashKey: RowHashKey
    private let ends: UnsafeMutableBufferPointer<Int>
    private var key = ByteSink(capacity: 256)

    init(_ shape: RowLayout, hashKey: RowHashKey) {
        self.shape = shape
        self.hashKey = hashKey
        ends = .allocate(capacity: shape.columns.count + 1)
        ends.initialize(repeating: 0)
    }

    deinit { ends.deallocate() }

    func scan(_ bytes: UnsafeRawBufferPointer) throws(DriftError) -> Row {
        try BinaryRow.locate(bytes, shape.columns.count, ends)
        let key = keyBytes(bytes)
        return Row(
            bytes: bytes, hash: RowHash.hash(bytes, key: hashKey),
            keyHash: RowHash.hash(key, key: hashKey))
    }

    /// The fields of the key of the row that was scanned last, in key order; valid until the next.
    func keyBytes(_ row: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if shape.key.count == 1 { return field(shape.key[0], of: row) }
        key.removeAll()
        for place in shape.key { key.append(raw: field(place, of: row)) }
        return key.unsafeBytes
    }

    /// A field of the row that was scanned last, its length before it.
    func field(_ place: Int, of row: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: row[ends[place]..<ends[place + 1]])
    }

    /// All fields of a row, copied.
    func fields(_ row: UnsafeRawBufferPointer) throws(DriftError) -> [[UInt8]] {
        try BinaryRow.locate(row, shape.columns.count, ends)
        return shape.columns.indices.map { Array(field($0, of: row)) }
    }
}
