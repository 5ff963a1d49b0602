import Avro
import DaybookCatalog
import DaybookLog

/// Goes through blocks of a log for the rows of one key and what took them back. A row of another
/// key costs its bytes: nothing is allocated for it.
struct KeyScan {
    let key: AskedKey
    private let after: Position
    private let name: [UInt8]
    private var layouts: KeyLayouts
    private var values = RowValues()
    /// How many rows of the key there are.
    private(set) var count = 0
    /// The positions of those that nothing took back.
    private(set) var standing: [Position] = []
    /// Those behind `after`, as many as are given at once.
    private(set) var events: [KeyEvent] = []
    /// Whether there are more.
    private(set) var hasMore = false
    /// Everything before it was looked at, or need not be.
    private(set) var position: Position = 0
    private var rowByteCount = 0
    private let rowByteCountMax: Int
    private let readByteLimit = 4 << 20

    init(key: AskedKey, catalog: Catalog, after: Position, rowByteCountMax: Int) {
        self.key = key
        self.after = after
        self.rowByteCountMax = rowByteCountMax
        name = Array(key.table.name.utf8)
        layouts = KeyLayouts(catalog)
    }

    /// Reads the events of a range.
    ///
    /// - Throws: `LogError`, and what the decoding of a block throws.
    mutating func read(_ range: Range<Position>, of log: any LogSource) throws {
        guard !range.isEmpty else { return }
        position = range.lowerBound
        var scratch = ByteSink(capacity: 64)
        while position < range.upperBound {
            let blocks = try log.blocks(from: position, byteLimit: readByteLimit)
            for block in blocks where block.firstPosition < range.upperBound {
                try read(block, &scratch)
                position = block.endPosition
            }
        }
    }

    private mutating func read(_ block: DurableBlock, _ scratch: inout ByteSink) throws {
        let branch = block.schema.branch(of: key.table.name)
        let layout = branch.flatMap { branch in
            layouts.of(block.schema)[branch].first { $0.constraint == key.constraint }
        }
        try block.content.withUnsafeBytes(in: block.records) { bytes in
            var cursor = ByteCursor(bytes)
            while !cursor.isAtEnd {
                var batch = try BatchSkim(at: cursor, schema: block.schema)
                if batch.table.isEmpty {
                    try readControls(batch)
                } else if let branch, let layout,
                    name.withUnsafeBytes({ batch.table.isEqual(to: $0) })
                {
                    try readRows(&batch, branch, layout, &scratch)
                }
                try batch.finish()
                cursor = batch.cursor
            }
        }
    }

    private mutating func readRows(
        _ batch: inout BatchSkim, _ branch: Int, _ layout: KeyLayout, _ scratch: inout ByteSink
    ) throws {
        let shape = batch.schema.tables[branch]
        var index = 0
        try key.encoded.withUnsafeBytes { wanted in
            while let next = try batch.nextBranch() {
                defer { index += 1 }
                guard next == branch else {
                    try batch.skipRow(next)
                    continue
                }
                let start = batch.cursor.address
                try values.read(&batch.cursor, shape: shape)
                if layout.matches(values, wanted, scratch: &scratch) {
                    let row = UnsafeRawBufferPointer(
                        start: start, count: batch.cursor.address - start)
                    try add(batch, index, branch, row)
                }
            }
        }
    }

    private mutating func add(
        _ batch: BatchSkim, _ index: Int, _ branch: Int, _ row: UnsafeRawBufferPointer
    ) throws {
        let position = batch.position + Position(index)
        count += 1
        standing.append(position)
        guard position > after, !hasMore else { return }
        guard events.count < KeyHistory.eventCountMax,
            rowByteCount < rowByteCountMax
        else {
            hasMore = true
            return
        }
        rowByteCount += row.count
        var reader = try batch.reader()
        let leaf = MerkleFrontier.leaf(of: try reader.finish())
        events.append(
            KeyEvent(
                position: position, index: index, batch: reader.facts, leaf: leaf,
                schema: batch.schema, branch: branch, row: Array(row)))
    }

    /// Notes what the ledger's own events say of rows that were found: what takes a row back comes
    /// after it.
    private mutating func readControls(_ batch: BatchSkim) throws {
        guard !standing.isEmpty else { return }
        var reader = try batch.reader()
        var position = reader.facts.position
        while let branch = try reader.nextBranch() {
            defer { position += 1 }
            guard branch == reader.schema.controlBranch else {
                try reader.skipRow(branch)
                continue
            }
            let control = try reader.readControl()
            guard control.kind == KeyEvent.Retraction.kind else { continue }
            let isTaken = { (row: Position) in control.refersTo.contains { $0.contains(row) } }
            let taken = standing.filter(isTaken)
            guard !taken.isEmpty else { continue }
            standing.removeAll(where: isTaken)
            let retraction = KeyEvent.Retraction(control, at: position, of: reader.facts)
            for index in events.indices where taken.contains(events[index].position) {
                events[index].retraction = retraction
            }
        }
    }
}
