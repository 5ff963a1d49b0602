/// Passes over values of one schema without building anything.
///
/// The schema is compiled once into a flat list of nodes; skipping then walks that list, with no
/// allocation and no reference counting.
public struct AvroSkipper: Sendable {
    private let program: SkipProgram
    private let root: Int

    /// A skipper for values of `schema`, which must be whole: its references are defined in it.
    public init(_ schema: AvroSchema, limits: AvroLimits = AvroLimits()) {
        self.init(schema, definitions: schema.definitions, limits: limits)
    }

    /// A skipper for a part of a schema, whose references are looked up in `definitions`.
    public init(
        _ schema: AvroSchema, definitions: [AvroName: AvroSchema],
        limits: AvroLimits = AvroLimits()
    ) {
        var program = SkipProgram(definitions: definitions, depthMax: limits.depth)
        root = program.compile(schema)
        self.program = program
    }

    /// Moves the cursor behind one value.
    public func skip(_ cursor: inout ByteCursor) throws(AvroDecodingError) {
        try program.skip(root, &cursor)
    }

    /// Moves the cursor behind `count` values.
    public func skip(_ count: Int, _ cursor: inout ByteCursor) throws(AvroDecodingError) {
        if program.isEmpty(root) { return }
        precondition(count >= 0, "a count is never negative")
        try program.skip(root, count: count, &cursor)
    }
}

/// Schemas, compiled for skipping. Several share one list of nodes.
struct SkipProgram: Sendable {
    /// One step. No case holds a reference, so that walking counts none.
    private enum Node {
        /// Takes no bytes: null, a fixed of none, a record of such.
        case empty
        case boolean
        case varint
        case enumeration(symbolCount: Int)
        case raw(byteCount: Int)
        case counted
        case array(item: Int)
        case map(value: Int)
        /// Ranges of `children`.
        case record(first: Int, end: Int)
        case union(first: Int, end: Int)
    }

    private var nodes: [Node] = []
    private var children: [Int] = []
    private var named: [AvroName: Int] = [:]
    private let definitions: [AvroName: AvroSchema]
    private let depthMax: Int

    init(definitions: [AvroName: AvroSchema], depthMax: Int) {
        self.definitions = definitions
        self.depthMax = depthMax
    }

    /// Whether a value of this node never takes a byte.
    func isEmpty(_ node: Int) -> Bool {
        if case .empty = nodes[node] { return true }
        return false
    }

    /// Adds `schema`, and gives its node.
    mutating func compile(_ schema: AvroSchema) -> Int {
        switch schema {
        case .null: return add(.empty)
        case .boolean: return add(.boolean)
        case .int, .long: return add(.varint)
        case .float: return add(.raw(byteCount: 4))
        case .double: return add(.raw(byteCount: 8))
        case .bytes, .string: return add(.counted)
        case .fixed(let fixed):
            return add(fixed.byteCount == 0 ? .empty : .raw(byteCount: fixed.byteCount))
        case .enumeration(let enumeration):
            return add(.enumeration(symbolCount: enumeration.symbols.count))
        case .array(let item): return add(.array(item: compile(item)))
        case .map(let value): return add(.map(value: compile(value)))
        case .union(let branches):
            let range = addChildren(branches.map { compile($0) })
            return add(.union(first: range.lowerBound, end: range.upperBound))
        case .record(let record): return compile(record)
        case .reference(let name):
            if let node = named[name] { return node }
            guard let definition = definitions[name] else {
                preconditionFailure("a schema's references are defined in it")
            }
            return compile(definition)
        }
    }

    private mutating func compile(_ record: AvroSchema.Record) -> Int {
        if let node = named[record.name] { return node }
        // Its place is known before its fields are, for they may refer to it.
        let node = add(.record(first: 0, end: 0))
        named[record.name] = node
        let fields = record.fields.map { compile($0.schema) }.filter { !isEmpty($0) }
        let range = addChildren(fields)
        nodes[node] =
            fields.isEmpty ? .empty : .record(first: range.lowerBound, end: range.upperBound)
        return node
    }

    private mutating func add(_ node: Node) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }

    private mutating func addChildren(_ list: [Int]) -> Range<Int> {
        let first = children.count
        children.append(contentsOf: list)
        return first..<children.count
    }

    /// Moves the cursor behind `count` values of `node`.
    func skip(_ node: Int, count: Int = 1, _ cursor: inout ByteCursor) throws(AvroDecodingError) {
        try nodes.withUnsafeBufferPointer { nodes throws(AvroDecodingError) in
            try children.withUnsafeBufferPointer { children throws(AvroDecodingError) in
                let walk = Walk(nodes: nodes, children: children)
                for _ in 0..<count { try walk.skip(node, &cursor, depthMax) }
            }
        }
    }

    private struct Walk {
        let nodes: UnsafeBufferPointer<Node>
        let children: UnsafeBufferPointer<Int>

        /// Leaves are done in the caller's loop; only what has parts costs a call.
        @inline(__always)
        func skip(
            _ node: Int, _ cursor: inout ByteCursor, _ depthLeft: Int
        ) throws(AvroDecodingError) {
            switch nodes[node] {
            case .empty: break
            case .boolean: _ = try cursor.readBoolean()
            case .varint: try cursor.skipLong()
            case .raw(let byteCount): try cursor.skip(byteCount)
            case .counted: _ = try cursor.readBytes()
            case .enumeration(let symbolCount): _ = try cursor.readIndex(below: symbolCount)
            case .record, .union, .array, .map: try skipNested(node, &cursor, depthLeft)
            }
        }

        private func skipNested(
            _ node: Int, _ cursor: inout ByteCursor, _ depthLeft: Int
        ) throws(AvroDecodingError) {
            guard depthLeft > 0 else { throw .tooDeep }
            switch nodes[node] {
            case .record(let first, let end):
                for child in first..<end { try skip(children[child], &cursor, depthLeft - 1) }
            case .union(let first, let end):
                let branch = try cursor.readIndex(below: end - first)
                try skip(children[first + branch], &cursor, depthLeft - 1)
            case .array(let item): try skipBlocks(of: item, hasKeys: false, &cursor, depthLeft)
            case .map(let value): try skipBlocks(of: value, hasKeys: true, &cursor, depthLeft)
            default: preconditionFailure("only nodes with parts are nested")
            }
        }

        private func skipBlocks(
            of item: Int, hasKeys: Bool, _ cursor: inout ByteCursor, _ depthLeft: Int
        ) throws(AvroDecodingError) {
            var isEmpty = false
            if case .empty = nodes[item] { isEmpty = true }
            while true {
                let block = try cursor.readBlockStart()
                if block.itemCount == 0 { return }
                if let byteCount = block.byteCount {
                    try cursor.skip(byteCount)
                    continue
                }
                if isEmpty && !hasKeys { continue }
                // Each turn takes a byte at least, so the loop ends with the bytes.
                for _ in 0..<block.itemCount {
                    if hasKeys { _ = try cursor.readBytes() }
                    try skip(item, &cursor, depthLeft - 1)
                }
            }
        }
    }
}

extension ByteCursor {
    /// The front of a block of an array or map. None behind it where the item count is 0.
    @inlinable mutating func readBlockStart() throws(AvroDecodingError) -> (
        itemCount: Int, byteCount: Int?
    ) {
        let count = try readLong()
        if count >= 0 { return (Int(count), nil) }
        guard count > Int64.min else { throw .badLength(count) }
        let byteCount = try readLong()
        guard byteCount >= 0 else { throw .badLength(byteCount) }
        guard byteCount <= Int64(remaining) else { throw .truncated }
        return (Int(-count), Int(byteCount))
    }

    /// A union's branch or an enum's symbol, of which there are `count`.
    @inlinable public mutating func readIndex(below count: Int) throws(AvroDecodingError) -> Int {
        let index = try readLong()
        guard index >= 0 && index < Int64(count) else { throw .badIndex(index) }
        return Int(index)
    }

    /// An Avro `int`.
    @inlinable public mutating func readInt() throws(AvroDecodingError) -> Int32 {
        let value = try readLong()
        guard let int = Int32(exactly: value) else { throw .intOutOfRange(value) }
        return int
    }

    /// An Avro `string` that must be UTF-8.
    public mutating func readValidString() throws(AvroDecodingError) -> String {
        guard let string = String(validating: try readBytes(), as: UTF8.self) else {
            throw .notUTF8
        }
        return string
    }
}
