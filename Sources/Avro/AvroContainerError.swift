/// Why bytes cannot be read as an object container file.
public enum AvroContainerError: Error, Equatable, Sendable {
    /// The file does not begin with `Obj` and 1.
    case notAContainer
    /// The header names no schema.
    case missingSchema
    /// The header's schema cannot be used.
    case schema(AvroSchemaError)
    /// The blocks are compressed in a way this library does not know.
    case unknownCodec(String)
    /// The header or the front of a block is no Avro, or the file ends inside it.
    case malformed(AvroDecodingError)
    /// The header has more bytes than `ContainerLimits.headerByteCount`.
    case headerTooLarge
    /// A block has more bytes in the file than `ContainerLimits.blockByteCount`.
    case blockTooLarge(byteCount: Int64)
    /// A block has more bytes when decompressed than `ContainerLimits.contentByteCount`.
    case contentTooLarge
    /// A block's compressed bytes are damaged.
    case badCompression
    /// A block does not end with the file's sync marker.
    case badSyncMarker
}
