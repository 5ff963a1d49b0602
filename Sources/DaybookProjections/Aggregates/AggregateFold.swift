import Avro
import DaybookCatalog
import DaybookLog
import Postgres

/// The groups that some rows touch, folded in memory: a key of bytes and a few sums each, nothing a
/// row.
///
/// It reads rows in Postgres's binary COPY form, which is what the transcoder has just made of
/// them.
final class AggregateFold {
    /// What a measure has seen in a group.
    private struct Tally {
        /// Rows for `count`, values that are not null for all others.
        var count: Int64 = 0
        /// Sum, least or greatest of whole numbers: integers, unscaled decimals, times as Postgres
        /// counts them.
        var whole: Int128 = 0
        /// The same of `number`.
        var real: Double = 0
    }

    /// Where the sources stand in rows of one list of columns, or -1.
    private struct Layout {
        let columns: [String]
        let places: [Int]
        /// How many fields of a row are looked at.
        let fieldCount: Int

        init(columns: [String], places: [Int]) {
            self.columns = columns
            self.places = places
            fieldCount = 1 + (places.max() ?? -1)
        }
    }

    let plan: AggregatePlan
    /// Whether it is to be written out before more rows come.
    private(set) var isFull = false
    private var index = GroupIndex()
    private var tallies: [Tally] = []
    private var key = ByteSink(capacity: 256)
    private var cutters: [TimeCutter?]
    private var layouts: [[String]: Layout] = [:]
    private var layout = Layout(columns: [], places: [])
    private let fields: UnsafeMutableBufferPointer<CopyField>
    /// Only groups that this one has are folded; nil folds all.
    private let wanted: AggregateFold?

    /// Bounds what a transaction keeps in memory.
    private static let groupCountMax = 1 << 16
    /// Two decimals of 38 digits are not added beyond what 128 bits hold.
    private static let wholeMax: Int128 = 1 << 125
    private static let fieldCountMax = Table.columnCountMax + 1

    init(_ plan: AggregatePlan, only wanted: AggregateFold? = nil) {
        self.plan = plan
        self.wanted = wanted
        cutters = plan.groups.map { group in
            group.function.map { TimeCutter($0, timeZone: plan.aggregate.timeZone) }
        }
        fields = .allocate(capacity: AggregateFold.fieldCountMax)
        fields.initialize(repeating: CopyField(start: 0, byteCount: -1))
    }

    deinit { fields.deallocate() }

    var isEmpty: Bool { index.count == 0 }

    /// Takes a row whose fields are those of `columns`.
    func add(_ bytes: UnsafeRawBufferPointer, columns: [String]) {
        let row = CopyRow(bytes: bytes)
        let layout = layout(of: columns)
        row.find(UnsafeMutableBufferPointer(rebasing: fields[..<layout.fieldCount]))
        func field(_ source: Int) -> CopyField {
            let place = layout.places[source]
            return place < 0 ? CopyField(start: 0, byteCount: -1) : fields[place]
        }
        if let condition = plan.condition, !condition.isMet(by: field(condition.source), in: row) {
            return
        }
        key.removeAll()
        for (place, group) in plan.groups.enumerated() {
            appendKey(place, group, field(group.source), row)
        }
        if let wanted, !wanted.index.contains(key.unsafeBytes) { return }
        let (number, isNew) = index.number(of: key.unsafeBytes)
        if isNew {
            for _ in plan.measures { tallies.append(Tally()) }
            if index.count >= AggregateFold.groupCountMax { isFull = true }
        }
        let first = number * plan.measures.count
        for (place, measure) in plan.measures.enumerated() {
            guard let source = measure.source else {
                tallies[first + place].count += 1
                continue
            }
            let field = field(source)
            if field.isNull { continue }
            tally(&tallies[first + place], measure, plan.sources[source].type, field, row)
        }
    }

    private func layout(of columns: [String]) -> Layout {
        // Rows of one batch share the list's storage, and comparing that is comparing pointers.
        if layout.columns == columns { return layout }
        if let known = layouts[columns] {
            layout = known
        } else {
            let places = plan.sources.map { columns.firstIndex(of: $0.name) ?? -1 }
            layout = Layout(columns: columns, places: places)
            layouts[columns] = layout
        }
        return layout
    }

    @inline(__always)
    private func appendKey(
        _ place: Int, _ group: AggregatePlan.Group, _ field: CopyField, _ row: CopyRow
    ) {
        guard !field.isNull else { return key.append(bigEndian: Int32(-1)) }
        let type = plan.sources[group.source].type
        guard let function = group.function else {
            key.append(bigEndian: Int32(field.byteCount))
            if type == .number {
                // Postgres takes 0 and -0 for one value.
                let value = Double(bitPattern: UInt64(bitPattern: row.int64(field)))
                key.append(bigEndian: (value == 0 ? 0 : value).bitPattern)
            } else {
                key.append(raw: row.value(field))
            }
            return
        }
        let value: Int64
        if type == .date {
            value = cutters[place]?.cut(days: Int64(row.int32(field) + PostgresEpoch.days)) ?? 0
        } else {
            value =
                cutters[place]?.cut(microseconds: row.int64(field) + PostgresEpoch.microseconds)
                ?? 0
        }
        switch function {
        case .date:
            key.append(bigEndian: Int32(4))
            key.append(bigEndian: Int32(truncatingIfNeeded: value) - PostgresEpoch.days)
        case .bucket:
            key.append(bigEndian: Int32(8))
            key.append(bigEndian: value - PostgresEpoch.microseconds)
        default:
            key.append(bigEndian: Int32(8))
            key.append(bigEndian: value)
        }
    }

    @inline(__always)
    private func tally(
        _ tally: inout Tally, _ measure: AggregatePlan.Measure, _ type: ColumnType,
        _ field: CopyField, _ row: CopyRow
    ) {
        defer { tally.count += 1 }
        let isFirst = tally.count == 0
        if type == .number {
            let value = Double(bitPattern: UInt64(bitPattern: row.int64(field)))
            switch measure.function {
            case .sum, .avg: tally.real += value
            // As in Postgres, a NaN is above all numbers.
            case .min:
                if isFirst || value < tally.real || tally.real.isNaN { tally.real = value }
            case .max:
                if isFirst || value > tally.real || value.isNaN { tally.real = value }
            case .count: break
            }
            return
        }
        let value: Int128 =
            switch type {
            case .integer, .timestamp: Int128(row.int64(field))
            case .date: Int128(row.int32(field))
            case .decimal(_, let scale):
                NumericDecoding.unscaled(row.value(field), scale: scale)
            default: preconditionFailure("a measure is of numbers or times")
            }
        switch measure.function {
        case .sum, .avg:
            tally.whole += value
            if tally.whole.magnitude > AggregateFold.wholeMax.magnitude { isFull = true }
        case .min: tally.whole = isFirst ? value : min(tally.whole, value)
        case .max: tally.whole = isFirst ? value : max(tally.whole, value)
        case .count: break
        }
    }

    // MARK: Writing out

    /// One written column's values as an element of a COPY or of an array each.
    fileprivate final class ColumnBuffer {
        let column: AggregateColumn
        var sink = ByteSink(capacity: 1 << 12)
        var hasNull = false
        init(_ column: AggregateColumn) { self.column = column }
    }

    /// The key's values of all groups, an array for every column of the key; nothing is begun anew.
    func groupParameters() -> [PostgresValue?] {
        precondition(!isEmpty, "there is something to name")
        let buffers = plan.keyColumns.map(ColumnBuffer.init)
        for number in 0..<index.count { appendKey(number, to: buffers) }
        return buffers.map { $0.array(count: index.count) }
    }

    private func appendKey(_ number: Int, to buffers: [ColumnBuffer]) {
        index.withKey(number) { key in
            var place = 0
            for buffer in buffers {
                guard case .group = buffer.column.role else { break }
                let length = Int32(
                    bigEndian: key.loadUnaligned(fromByteOffset: place, as: Int32.self))
                let end = place + 4 + Int(max(length, 0))
                buffer.sink.append(raw: UnsafeRawBufferPointer(rebasing: key[place..<end]))
                if length < 0 { buffer.hasNull = true }
                place = end
            }
        }
    }

    /// The values of all groups, an array for every written column in the order of `upsert`; and
    /// begins anew.
    func takeParameters() -> [PostgresValue?] {
        precondition(!isEmpty, "there is something to write")
        let buffers = plan.writtenColumns.map(ColumnBuffer.init)
        let groupCount = index.count
        for number in 0..<groupCount {
            appendKey(number, to: buffers)
            for buffer in buffers {
                let first = number * plan.measures.count
                switch buffer.column.role {
                case .group: continue
                case .measure(let place), .sum(let place):
                    append(tallies[first + place], of: plan.measures[place], to: buffer)
                case .count(let place):
                    buffer.sink.append(bigEndian: Int32(8))
                    buffer.sink.append(bigEndian: tallies[first + place].count)
                }
            }
        }
        index.removeAll()
        tallies.removeAll(keepingCapacity: true)
        isFull = false
        return buffers.map { $0.array(count: groupCount) }
    }

    private func append(
        _ tally: Tally, of measure: AggregatePlan.Measure, to buffer: ColumnBuffer
    ) {
        guard let source = measure.source else {
            buffer.sink.append(bigEndian: Int32(8))
            buffer.sink.append(bigEndian: tally.count)
            return
        }
        if tally.count == 0 {
            buffer.hasNull = true
            return buffer.sink.append(bigEndian: Int32(-1))
        }
        switch (plan.sources[source].type, measure.function) {
        case (.number, _):
            buffer.sink.append(bigEndian: Int32(8))
            buffer.sink.append(bigEndian: tally.real.bitPattern)
        case (.decimal(_, let scale), _):
            NumericEncoding.append(unscaled: tally.whole, scale: scale, to: &buffer.sink)
        case (_, .sum), (_, .avg):
            NumericEncoding.append(unscaled: tally.whole, scale: 0, to: &buffer.sink)
        case (.date, _):
            buffer.sink.append(bigEndian: Int32(4))
            buffer.sink.append(bigEndian: Int32(tally.whole))
        default:
            buffer.sink.append(bigEndian: Int32(8))
            buffer.sink.append(bigEndian: Int64(tally.whole))
        }
    }
}

extension AggregateFold.ColumnBuffer {
    /// The values as a one-dimensional array. (PostgreSQL, `array_recv` in `arrayfuncs.c`:
    /// dimensions, whether there are nulls, the elements' type, length and lower bound, elements)
    fileprivate func array(count: Int) -> PostgresValue {
        var header = ByteSink(capacity: 20)
        header.append(bigEndian: Int32(1))
        header.append(bigEndian: Int32(hasNull ? 1 : 0))
        header.append(bigEndian: column.typeOID)
        header.append(bigEndian: Int32(count))
        header.append(bigEndian: Int32(1))
        return .binary(Array(header.unsafeBytes) + Array(sink.unsafeBytes), typeOID: 0)
    }
}

extension AggregateColumn {
    fileprivate var typeOID: UInt32 {
        switch type {
        case nil, .decimal: TypeOID.numeric
        case .integer: TypeOID.int8
        case .number: TypeOID.float8
        case .boolean: TypeOID.bool
        case .string: TypeOID.text
        case .date: TypeOID.date
        case .timestamp: TypeOID.timestamptz
        case .uuid: TypeOID.uuid
        }
    }
}
