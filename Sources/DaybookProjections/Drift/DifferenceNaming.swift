import Avro
import DaybookLog

/// Finds which of two sides' rows have no equal on the other, and says what they are.
final class DifferenceNaming {
    private let shape: RowLayout
    private let sampleLimit: Int
    private let kept: DifferingRows?
    private let scanner: RowScanner
    private var differences = RowDifferences()

    init(_ shape: RowLayout, hashKey: RowHashKey, sampleLimit: Int, kept: DifferingRows?) {
        self.shape = shape
        self.sampleLimit = sampleLimit
        self.kept = kept
        scanner = RowScanner(shape, hashKey: hashKey)
    }

    /// All that was found, with the digests of both sides.
    func finish(expected: RowDigest, found: RowDigest) -> RowDifferences {
        differences.expected = expected
        differences.found = found
        differences.missing.sort { ($0.position ?? 0) < ($1.position ?? 0) }
        differences.extra.sort { ($0.position ?? 0) < ($1.position ?? 0) }
        differences.different.sort { ($0.position ?? 0) < ($1.position ?? 0) }
        return differences
    }

    /// Compares the rows of some buckets, all of them.
    ///
    /// A table whose key was dropped by hand may have several rows of one key, so the rows of a key
    /// are sets: equals go away in pairs, then what is left is paired as changed.
    func name(_ expected: RowCollection, _ found: RowCollection) throws {
        expected.sort()
        found.sort()
        var (left, right) = (expected.entries[...], found.entries[...])
        while let keyHash = [left.first?.keyHash, right.first?.keyHash].compactMap(\.self).min() {
            let ofKey = left.takeFirst { $0.keyHash == keyHash }
            let (wanted, had) = unequal(ofKey, right.takeFirst { $0.keyHash == keyHash })
            if let row = (wanted.first.map(expected.row) ?? had.first.map(found.row)) {
                try keepKey(of: row, hash: keyHash)
                for row in ofKey { kept?.add(expected: expected.row(row)) }
            }
            for (row, other) in zip(wanted, had) {
                try note(expected.row(row), found.row(other))
            }
            for row in wanted.dropFirst(had.count) { try note(missing: expected.row(row)) }
            for row in had.dropFirst(wanted.count) { try note(extra: found.row(row)) }
        }
    }

    /// What is left of the rows of one key when equals are taken away.
    private func unequal(
        _ left: ArraySlice<RowCollection.Entry>, _ right: ArraySlice<RowCollection.Entry>
    ) -> (left: [RowCollection.Entry], right: [RowCollection.Entry]) {
        if left.count == 1, right.count == 1, left.first?.hash == right.first?.hash {
            return ([], [])
        }
        var (left, right) = (left, right)
        var rest: (left: [RowCollection.Entry], right: [RowCollection.Entry]) = ([], [])
        while let first = left.first, let other = right.first {
            if first.hash == other.hash {
                left.removeFirst()
                right.removeFirst()
            } else if first.hash < other.hash {
                rest.left.append(left.removeFirst())
            } else {
                rest.right.append(right.removeFirst())
            }
        }
        return (rest.left + left, rest.right + right)
    }

    private func note(missing row: UnsafeRawBufferPointer) throws {
        differences.missingCount += 1
        if differences.missing.count < sampleLimit { differences.missing.append(try lone(row)) }
    }

    private func note(extra row: UnsafeRawBufferPointer) throws {
        differences.extraCount += 1
        if differences.extra.count < sampleLimit { differences.extra.append(try lone(row)) }
    }

    private func note(
        _ expected: UnsafeRawBufferPointer, _ found: UnsafeRawBufferPointer
    ) throws {
        differences.differentCount += 1
        guard differences.different.count < sampleLimit else { return }
        let (fields, others) = (try scanner.fields(expected), try scanner.fields(found))
        // Bytes are compared, for 0 and -0 are other values, and equal.
        let cells = shape.columns.indices.filter { fields[$0] != others[$0] }.map {
            ChangedRow.Cell(
                column: shape.columns[$0].name, expected: value($0, fields),
                found: value($0, others))
        }
        differences.different.append(
            ChangedRow(
                key: shape.key.map { value($0, fields) }, position: position(fields), cells: cells))
    }

    private func keepKey(of row: UnsafeRawBufferPointer, hash: UInt128) throws {
        guard let kept else { return }
        _ = try scanner.scan(row)
        kept.add(key: scanner.keyBytes(row), fieldCount: shape.key.count, hash: hash)
    }

    private func lone(_ row: UnsafeRawBufferPointer) throws -> LoneRow {
        let fields = try scanner.fields(row)
        return LoneRow(
            key: shape.key.map { value($0, fields) }, position: position(fields),
            values: shape.columns.indices.map { value($0, fields) })
    }

    private func value(_ place: Int, _ fields: [[UInt8]]) -> CellValue {
        fields[place].withUnsafeBytes { shape.columns[place].form.value($0) }
    }

    private func position(_ fields: [[UInt8]]) -> Position? {
        guard let place = shape.position, case .integer(let position) = value(place, fields) else {
            return nil
        }
        return position
    }
}

extension ArraySlice {
    /// Takes the longest beginning whose elements all satisfy `isTaken`.
    fileprivate mutating func takeFirst(while isTaken: (Element) -> Bool) -> ArraySlice {
        let taken = prefix(while: isTaken)
        self = self[taken.endIndex...]
        return taken
    }
}
