/// How the blocks of a container file are compressed.
public enum ContainerCodec: String, Hashable, Sendable {
    /// Not at all.
    case null
    /// Raw deflate (RFC 1951), without zlib's header and checksum.
    case deflate
    /// Zstandard (RFC 8878), a frame for each block.
    case zstandard
}

/// The sixteen bytes that end a container file's header and each of its blocks.
public struct SyncMarker: Hashable, Sendable {
    /// How many bytes a marker has.
    public static let byteCount = 16

    @usableFromInline let first: UInt64
    @usableFromInline let second: UInt64

    /// Sixteen given bytes: best random, so that data cannot hold them by chance.
    public init(_ bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a sync marker has sixteen bytes")
        self = bytes.withUnsafeBytes { SyncMarker(loading: $0) }
    }

    private init(loading bytes: UnsafeRawBufferPointer) {
        first = bytes.loadUnaligned(as: UInt64.self)
        second = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    }

    /// Sixteen bytes from `generator`.
    public init(using generator: inout some RandomNumberGenerator) {
        first = generator.next()
        second = generator.next()
    }

    /// Sixteen random bytes.
    public static func random() -> SyncMarker {
        var generator = SystemRandomNumberGenerator()
        return SyncMarker(using: &generator)
    }

    init(from cursor: inout ByteCursor) throws(AvroDecodingError) {
        self.init(loading: try cursor.readRaw(Self.byteCount))
    }

    /// The sixteen bytes.
    public var bytes: [UInt8] {
        withUnsafeBytes(of: (first, second)) { Array($0) }
    }

    /// Appends the sixteen bytes.
    @inlinable public func encode(into sink: inout ByteSink) {
        withUnsafeBytes(of: (first, second)) { sink.append(raw: $0) }
    }
}

/// What stands at the front of an object container file.
///
/// Source: Apache Avro 1.11 specification, "Object Container Files".
public struct ContainerHeader: Equatable, Sendable {
    /// The first four bytes of a container file: `Obj` and 1.
    public static let magic: [UInt8] = [0x4F, 0x62, 0x6A, 0x01]
    private static let schemaKey = "avro.schema"
    private static let codecKey = "avro.codec"

    /// The schema of the data.
    public let schema: AvroSchema
    /// The schema's JSON as it stands in the file, attributes unknown to us included.
    public let schemaText: String
    /// How the blocks are compressed.
    public let codec: ContainerCodec
    /// Further metadata. Names that begin with `avro.` are the specification's.
    public let metadata: [String: [UInt8]]
    /// What ends each block.
    public let syncMarker: SyncMarker

    /// The header of a file to be written.
    public init(
        schema: AvroSchema, codec: ContainerCodec = .null, metadata: [String: [UInt8]] = [:],
        syncMarker: SyncMarker
    ) {
        precondition(
            !metadata.keys.contains { $0.hasPrefix("avro.") },
            "metadata that begins with avro. is the specification's")
        self.schema = schema
        self.schemaText = schema.json
        self.codec = codec
        self.metadata = metadata
        self.syncMarker = syncMarker
    }

    /// Appends the header's bytes. Equal headers have equal bytes: metadata are sorted by name.
    public func encode(into sink: inout ByteSink) {
        sink.append(raw: Self.magic)
        sink.append(long: Int64(metadata.count + 2))
        sink.append(string: Self.schemaKey)
        sink.append(string: schemaText)
        sink.append(string: Self.codecKey)
        sink.append(string: codec.rawValue)
        for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
            sink.append(string: name)
            sink.append(bytes: value)
        }
        sink.append(long: 0)
        syncMarker.encode(into: &sink)
    }

    /// Reads a header; the cursor stands behind it afterwards.
    ///
    /// Throws `.notAContainer`, `.unknownCodec`, `.schema`, or `.malformed(.truncated)` where the
    /// bytes end too early.
    public init(from cursor: inout ByteCursor) throws(AvroContainerError) {
        let facts = try Self.facts(from: &cursor)
        schemaText = facts.schemaText
        do {
            schema = try AvroSchema(json: schemaText)
        } catch {
            throw .schema(error)
        }
        codec = facts.codec
        syncMarker = facts.syncMarker
        metadata = facts.metadata
    }

    /// What a header says, its schema as text alone: for whoever has it already.
    public struct Facts: Equatable, Sendable {
        /// The schema's JSON as it stands in the file.
        public let schemaText: String
        /// How the blocks are compressed.
        public let codec: ContainerCodec
        /// Further metadata.
        public let metadata: [String: [UInt8]]
        /// What ends each block.
        public let syncMarker: SyncMarker
    }

    /// Reads a header and leaves its schema unread; the cursor stands behind it afterwards.
    ///
    /// Throws as `init(from:)` does, but `.schema`.
    public static func facts(
        from cursor: inout ByteCursor
    ) throws(AvroContainerError) -> Facts {
        let start = UnsafeRawBufferPointer(
            start: cursor.address, count: min(cursor.remaining, Self.magic.count))
        guard Self.magic.starts(with: start) else { throw .notAContainer }
        let entries: [String: [UInt8]]
        let syncMarker: SyncMarker
        do throws(AvroDecodingError) {
            try cursor.skip(Self.magic.count)
            entries = try Self.readMetadata(from: &cursor)
            syncMarker = try SyncMarker(from: &cursor)
        } catch {
            throw .malformed(error)
        }
        guard let text = entries[Self.schemaKey] else { throw .missingSchema }
        let word = entries[Self.codecKey].map { String(decoding: $0, as: UTF8.self) } ?? "null"
        guard let codec = ContainerCodec(rawValue: word) else { throw .unknownCodec(word) }
        return Facts(
            schemaText: String(decoding: text, as: UTF8.self), codec: codec,
            metadata: entries.filter { $0.key != Self.schemaKey && $0.key != Self.codecKey },
            syncMarker: syncMarker)
    }

    private static func readMetadata(
        from cursor: inout ByteCursor
    ) throws(AvroDecodingError) -> [String: [UInt8]] {
        var entries: [String: [UInt8]] = [:]
        while true {
            var count = try cursor.readLong()
            if count == 0 { return entries }
            if count < 0 {
                guard count > Int64.min else { throw .badLength(count) }
                count = -count
                guard try cursor.readLong() >= 0 else { throw .badLength(-count) }
            }
            // The loop ends with the bytes: an entry has at least two.
            for _ in 0..<count {
                let name = try cursor.readString()
                entries[name] = Array(try cursor.readBytes())
            }
        }
    }
}
