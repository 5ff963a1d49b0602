/// Reads bytes of a writer's schema as values of a reader's.
///
/// What has to be done (which field goes where, what is promoted, skipped or filled in) is worked
/// out once, by `ResolutionPlanner`. With one schema on both sides it is a plain decoder. Logical
/// types are not converted: a `timestamp-millis` read as a `timestamp-micros` keeps its number.
///
/// Source: Apache Avro 1.11 specification, "Schema Resolution".
public struct ResolvingDecoder: Sendable {
    private let plan: ResolutionPlan
    private let limits: AvroLimits

    /// A decoder of data written and read with the same schema.
    public init(_ schema: AvroSchema, limits: AvroLimits = AvroLimits()) {
        do {
            try self.init(writer: schema, reader: schema, limits: limits)
        } catch {
            preconditionFailure("every schema reads its own data: \(error)")
        }
    }

    /// A decoder of `writer`'s data as `reader`'s values.
    ///
    /// With `ignoringRootNames`, a record at the top is taken for the reader's whatever its name
    /// is: other programs name the record of a table as they like.
    ///
    /// Throws `.unresolvable` with the reader's place where no data of the writer could be read.
    public init(
        writer: AvroSchema, reader: AvroSchema, ignoringRootNames: Bool = false,
        limits: AvroLimits = AvroLimits()
    ) throws(AvroSchemaError) {
        var planner = ResolutionPlanner(writer: writer, reader: reader, limits: limits)
        plan = try planner.plan(ignoringRootNames: ignoringRootNames)
        self.limits = limits
    }

    /// The next value; the cursor stands behind it afterwards.
    public func decode(_ cursor: inout ByteCursor) throws(AvroDecodingError) -> AvroValue {
        var decoding = Decoding(
            plan: plan, cursor: cursor, emptyItemsLeft: limits.emptyItemCount)
        let value = try decoding.value(plan.root, depthLeft: limits.depth)
        cursor = decoding.cursor
        return value
    }

    /// The one value that `bytes` hold, with nothing behind it.
    public func decode(_ bytes: Bytes) throws(AvroDecodingError) -> AvroValue {
        try bytes.withUnsafeBytes { raw throws(AvroDecodingError) in
            var cursor = ByteCursor(raw)
            let value = try decode(&cursor)
            guard cursor.isAtEnd else { throw .bytesLeft(cursor.remaining) }
            return value
        }
    }
}

/// One value on its way out of the bytes.
private struct Decoding {
    let plan: ResolutionPlan
    var cursor: ByteCursor
    var emptyItemsLeft: Int

    /// How many items memory is taken for before the first of them was read.
    private static let itemsReserved = 1024

    mutating func value(_ index: Int, depthLeft: Int) throws(AvroDecodingError) -> AvroValue {
        switch plan.steps[index] {
        case .null: return .null
        case .boolean: return .boolean(try cursor.readBoolean())
        case .int: return .int(try cursor.readInt())
        case .long: return .long(try cursor.readLong())
        case .float: return .float(try cursor.readFloat())
        case .double: return .double(try cursor.readDouble())
        case .bytes, .bytesFromString: return .bytes(Array(try cursor.readBytes()))
        case .string, .stringFromBytes: return .string(try cursor.readValidString())
        case .fixed(let byteCount): return .fixed(Array(try cursor.readRaw(byteCount)))
        case .longFromInt: return .long(Int64(try cursor.readInt()))
        case .floatFromInt: return .float(Float(try cursor.readInt()))
        case .doubleFromInt: return .double(Double(try cursor.readInt()))
        case .floatFromLong: return .float(Float(try cursor.readLong()))
        case .doubleFromLong: return .double(Double(try cursor.readLong()))
        case .doubleFromFloat: return .double(Double(try cursor.readFloat()))
        case .enumeration(let symbols, let path, let name):
            guard let symbol = symbols[try cursor.readIndex(below: symbols.count)] else {
                throw .unresolvable(path: path, .kind(writer: "a symbol", reader: name))
            }
            return .enumeration(symbol)
        case .readerUnion(let branch, let step):
            // Not a level of its own: the bytes have no union here, or it was counted.
            return .union(branch, try value(step, depthLeft: depthLeft))
        case .impossible(let path, let mismatch): throw .unresolvable(path: path, mismatch)
        default: return try nested(index, depthLeft: depthLeft)
        }
    }

    private mutating func nested(
        _ index: Int, depthLeft: Int
    ) throws(AvroDecodingError) -> AvroValue {
        guard depthLeft > 0 else { throw .tooDeep }
        switch plan.steps[index] {
        case .record(let actions, var values):
            for action in actions {
                switch action {
                case .read(let step, let slot):
                    values[slot] = try value(step, depthLeft: depthLeft - 1)
                case .skip(let node): try plan.skips.skip(node, &cursor)
                }
            }
            return .record(values)
        case .array(let item, let isEmpty):
            return .array(try items(item, isEmpty: isEmpty, depthLeft: depthLeft))
        case .map(let item): return .map(try entries(item, depthLeft: depthLeft))
        case .writerUnion(let steps):
            let branch = try cursor.readIndex(below: steps.count)
            return try value(steps[branch], depthLeft: depthLeft - 1)
        default: preconditionFailure("only steps with parts are nested")
        }
    }

    private mutating func items(
        _ item: Int, isEmpty: Bool, depthLeft: Int
    ) throws(AvroDecodingError) -> [AvroValue] {
        var items: [AvroValue] = []
        while true {
            let block = try startBlock()
            if block.itemCount == 0 { return items }
            if isEmpty {
                guard block.itemCount <= emptyItemsLeft else { throw .tooManyEmptyItems }
                emptyItemsLeft -= block.itemCount
            } else {
                guard block.itemCount <= cursor.remaining else { throw .truncated }
            }
            items.reserveCapacity(items.count + min(block.itemCount, Self.itemsReserved))
            for _ in 0..<block.itemCount {
                items.append(try value(item, depthLeft: depthLeft - 1))
            }
            try endBlock(block)
        }
    }

    private mutating func entries(
        _ item: Int, depthLeft: Int
    ) throws(AvroDecodingError) -> [AvroValue.Entry] {
        var entries: [AvroValue.Entry] = []
        while true {
            let block = try startBlock()
            if block.itemCount == 0 { return entries }
            // An entry has a key, so each turn takes a byte at least.
            for _ in 0..<block.itemCount {
                let key = try cursor.readValidString()
                entries.append(.init(key, try value(item, depthLeft: depthLeft - 1)))
            }
            try endBlock(block)
        }
    }

    private struct Block {
        var itemCount: Int
        /// How many bytes are left behind the block, where it tells its size.
        var remainingAfter: Int?
        var byteCount: Int?
    }

    private mutating func startBlock() throws(AvroDecodingError) -> Block {
        let start = try cursor.readBlockStart()
        return Block(
            itemCount: start.itemCount,
            remainingAfter: start.byteCount.map { cursor.remaining - $0 },
            byteCount: start.byteCount)
    }

    private func endBlock(_ block: Block) throws(AvroDecodingError) {
        guard let after = block.remainingAfter, let byteCount = block.byteCount else { return }
        guard cursor.remaining == after else { throw .badLength(Int64(byteCount)) }
    }
}
