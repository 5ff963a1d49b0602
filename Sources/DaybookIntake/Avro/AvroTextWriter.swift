import Avro
import DaybookCatalog

/// Writes values of an Avro schema as JSON, straight from their bytes.
struct AvroTextWriter: ~Copyable {
    private let definitions: [AvroName: AvroSchema]
    /// More than this is given up.
    private let byteCountMax: Int
    /// Where texts are cut short, and values that have parts given up; nil for nowhere.
    private let valueByteCountMax: Int?
    private var sink = ByteSink(capacity: 512)

    private static let depthMax = 64

    init(definitions: [AvroName: AvroSchema], byteCountMax: Int, valueByteCountMax: Int? = nil) {
        self.definitions = definitions
        self.byteCountMax = byteCountMax
        self.valueByteCountMax = valueByteCountMax
    }

    var byteCount: Int { sink.count }
    var text: [UInt8] { Array(sink.unsafeBytes) }

    mutating func beginMember(_ name: String, isFirst: Bool) {
        sink.append(byte: isFirst ? UInt8(ascii: "{") : UInt8(ascii: ","))
        var name = name
        name.withUTF8 { string(UnsafeRawBufferPointer($0), byteCountMax: .max) }
        sink.append(byte: UInt8(ascii: ":"))
    }

    mutating func endObject(isEmpty: Bool) {
        if isEmpty { sink.append(byte: UInt8(ascii: "{")) }
        sink.append(byte: UInt8(ascii: "}"))
    }

    /// What stands for a value that was given up.
    mutating func writeDots() { sink.append(raw: Array("\"…\"".utf8)) }

    /// Writes one value. `kind` is the type of the column that it is for: it decides what bytes
    /// are. Throws if the bytes are not as their schema says, and `tooDeep` or `badLength` if the
    /// text would be too deep or too long.
    mutating func write(
        _ schema: AvroSchema, _ cursor: inout ByteCursor, depth: Int, as kind: ColumnPlan.Kind?
    ) throws(AvroDecodingError) {
        try writeValue(schema, &cursor, depth, kind)
        guard sink.count <= byteCountMax else { throw .badLength(Int64(sink.count)) }
    }

    private mutating func writeValue(
        _ schema: AvroSchema, _ cursor: inout ByteCursor, _ depth: Int, _ kind: ColumnPlan.Kind?
    ) throws(AvroDecodingError) {
        switch schema {
        case .null: word("null")
        case .boolean: word(try cursor.readBoolean() ? "true" : "false")
        case .int(let logical), .long(let logical): whole(try cursor.readLong(), logical)
        case .float: double(Double(try cursor.readFloat()))
        case .double: double(try cursor.readDouble())
        case .string: string(try cursor.readBytes())
        case .bytes(let logical): opaque(try cursor.readBytes(), logical, kind)
        case .fixed(let fixed):
            opaque(try cursor.readRaw(fixed.byteCount), fixed.logicalType, kind)
        case .enumeration(let enumeration):
            let symbol = try cursor.readIndex(below: enumeration.symbols.count)
            word("\"\(enumeration.symbols[symbol])\"")
        case .union(let branches):
            let branch = try cursor.readIndex(below: branches.count)
            try writeValue(branches[branch], &cursor, depth, kind)
        case .reference(let name):
            guard let definition = definitions[name] else {
                preconditionFailure("a schema that was read defines what it refers to")
            }
            try writeValue(definition, &cursor, depth, kind)
        case .record, .array, .map:
            guard depth < Self.depthMax, valueByteCountMax == nil else { throw .tooDeep }
            try writeParts(schema, &cursor, depth + 1)
        }
    }

    private mutating func writeParts(
        _ schema: AvroSchema, _ cursor: inout ByteCursor, _ depth: Int
    ) throws(AvroDecodingError) {
        switch schema {
        case .record(let record):
            for (index, field) in record.fields.enumerated() {
                beginMember(field.name, isFirst: index == 0)
                try write(field.schema, &cursor, depth: depth, as: nil)
            }
            endObject(isEmpty: record.fields.isEmpty)
        case .array(let item):
            try writeItems(between: "[]", &cursor) { (writer, cursor) throws(AvroDecodingError) in
                try writer.write(item, &cursor, depth: depth, as: nil)
            }
        case .map(let value):
            try writeItems(between: "{}", &cursor) { (writer, cursor) throws(AvroDecodingError) in
                writer.string(try cursor.readBytes())
                writer.word(":")
                try writer.write(value, &cursor, depth: depth, as: nil)
            }
        default: preconditionFailure("only these have parts")
        }
    }

    private mutating func writeItems(
        between brackets: String, _ cursor: inout ByteCursor,
        _ write: (inout AvroTextWriter, inout ByteCursor) throws(AvroDecodingError) -> Void
    ) throws(AvroDecodingError) {
        word(String(brackets.prefix(1)))
        var isFirst = true
        while true {
            var count = try cursor.readLong()
            if count == 0 { break }
            if count < 0 {
                guard count > Int64.min else { throw .badLength(count) }
                count = -count
                _ = try cursor.readLong()
            }
            for _ in 0..<count {
                if !isFirst { word(",") }
                isFirst = false
                try write(&self, &cursor)
            }
        }
        word(String(brackets.suffix(1)))
    }

    private mutating func word(_ text: String) {
        var text = text
        text.withUTF8 { sink.append(raw: UnsafeRawBufferPointer($0)) }
    }

    private mutating func whole(_ value: Int64, _ logical: AvroLogicalType?) {
        let start = sink.count
        word("\"")
        let isWritten =
            switch logical {
            case .date: AvroScalars.append(days: value, to: &sink)
            case .timestampMillis, .localTimestampMillis:
                moment(AvroScalars.microseconds(value))
            case .timestampMicros, .localTimestampMicros: moment(value)
            default: false
            }
        if isWritten {
            let isLocal = logical == .localTimestampMillis || logical == .localTimestampMicros
            // Behind a time of no zone there is no Z.
            if isLocal { sink.truncate(to: sink.count - 1) }
            word("\"")
        } else {
            sink.truncate(to: start)
            ScalarText.append(integer: value, to: &sink)
        }
    }

    private mutating func moment(_ microseconds: Int64?) -> Bool {
        guard let microseconds else { return false }
        return AvroScalars.append(microseconds: microseconds, to: &sink)
    }

    private mutating func double(_ value: Double) {
        // JSON has no word for what is no number.
        word(value.isFinite ? value.description : "\"\(value)\"")
    }

    /// Bytes, by what they mean: a decimal, a UUID, a text, or base64.
    private mutating func opaque(
        _ bytes: UnsafeRawBufferPointer, _ logical: AvroLogicalType?, _ kind: ColumnPlan.Kind?
    ) {
        let start = sink.count
        if let scale = AvroScalars.scale(logical) {
            let isBare = kind == .integer || kind == .number
            if !isBare { word("\"") }
            if AvroScalars.append(decimal: bytes, scale: scale, to: &sink) {
                if !isBare { word("\"") }
                return
            }
            sink.truncate(to: start)
        }
        if kind == .string && logical == nil && UTF8Check.isValid(bytes) { return string(bytes) }
        word("\"")
        if kind == .uuid && bytes.count == 16 {
            AvroScalars.append(uuid: bytes, to: &sink)
        } else {
            let kept = min(bytes.count, valueByteCountMax ?? .max)
            let part = UnsafeRawBufferPointer(rebasing: bytes[..<kept])
            AvroScalars.append(base64: part, to: &sink)
            if kept < bytes.count { word("…") }
        }
        word("\"")
    }

    private mutating func string(_ bytes: UnsafeRawBufferPointer) {
        string(bytes, byteCountMax: valueByteCountMax ?? .max)
    }

    /// A JSON string; bytes that are no UTF-8 show as U+FFFD. Source: RFC 8259, section 7.
    private mutating func string(_ bytes: UnsafeRawBufferPointer, byteCountMax: Int) {
        var end = min(bytes.count, byteCountMax)
        while end < bytes.count && end > 0 && bytes[end] & 0xC0 == 0x80 { end -= 1 }
        let part = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        word("\"")
        if UTF8Check.isPlain(part) || UTF8Check.isValid(part) {
            escape(part)
        } else {
            var repaired = String(decoding: part, as: UTF8.self)
            repaired.withUTF8 { escape(UnsafeRawBufferPointer($0)) }
        }
        if end < bytes.count { word("…") }
        word("\"")
    }

    private mutating func escape(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                sink.append(byte: UInt8(ascii: "\\"))
                sink.append(byte: byte)
            case UInt8(ascii: "\n"): word("\\n")
            case UInt8(ascii: "\r"): word("\\r")
            case UInt8(ascii: "\t"): word("\\t")
            case 0..<0x20:
                word("\\u00")
                word((byte < 16 ? "0" : "") + String(byte, radix: 16))
            default: sink.append(byte: byte)
            }
        }
    }
}
