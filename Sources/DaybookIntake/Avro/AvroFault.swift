import Avro

extension IntakeError {
    /// What keeps a container file from being read; `offset` is where it stands in the file.
    init(_ error: AvroContainerError, offset: Int) {
        switch error {
        case .notAContainer: self = .notAvro
        case .missingSchema: self = .unusableFile("its header names no schema")
        case .schema(let error):
            self = .unusableFile(ReasonText.cut("its header's \(error.description)"))
        case .unknownCodec(let codec):
            self = .unusableFile(
                ReasonText.cut(
                    "null, deflate and zstandard can be read, its blocks are "
                        + "compressed by \(codec)"))
        case .headerTooLarge: self = .unusableFile("its header is too large")
        case .malformed(.truncated):
            self = .damaged(offset: offset, "the file ends inside what begins here")
        case .malformed(let error): self = .damaged(offset: offset, error.sentence)
        case .blockTooLarge(let byteCount):
            self = .damaged(
                offset: offset, "the block says that it has \(byteCount) bytes, which is too much")
        case .contentTooLarge:
            self = .damaged(offset: offset, "the block is too large when decompressed")
        case .badCompression:
            self = .damaged(offset: offset, "the block's compressed bytes are damaged")
        case .badSyncMarker:
            self = .damaged(offset: offset, "the block does not end with the file's sync marker")
        }
    }
}

extension AvroDecodingError {
    /// The fault in words.
    var sentence: String {
        switch self {
        case .truncated: "they end inside a value"
        case .varintTooLong: "an integer is longer than 64 bits"
        case .badLength(let length): "a length of \(length) cannot be"
        case .badIndex(let index): "the schema has no branch or symbol \(index)"
        case .badBoolean(let byte): "a boolean is \(byte)"
        case .intOutOfRange(let value): "an int is \(value)"
        case .notUTF8: "a string is not UTF-8"
        case .tooDeep: "values nest too deep"
        case .tooManyEmptyItems: "there are too many items without bytes"
        case .bytesLeft(let count): "\(count) bytes are left behind the last"
        case .unresolvable(_, let mismatch): mismatch.description
        }
    }
}
