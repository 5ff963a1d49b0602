/// Reads one JSON text strictly: no comments, no trailing commas, no name twice, nothing behind it.
struct JSONReader {
    /// How deep arrays and objects may nest, so that a text cannot exhaust the stack.
    static let depthMax = 200

    private let bytes: [UInt8]
    private var next = 0

    /// The value that `text` holds, or where and why it is no JSON.
    static func read(_ text: String) throws(AvroSchemaError) -> AvroJSON {
        var reader = JSONReader(bytes: Array(text.utf8))
        let value = try reader.readValue(depth: 0)
        reader.skipSpace()
        guard reader.next == reader.bytes.count else { throw reader.error("text after the value") }
        return value
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private func error(_ reason: String) -> AvroSchemaError {
        let before = bytes[..<min(next, bytes.count)]
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let line = 1 + before.count { $0 == UInt8(ascii: "\n") }
        return .malformedJSON(line: line, column: 1 + before.count - lineStart, reason: reason)
    }

    private var peek: UInt8? { next < bytes.count ? bytes[next] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            next += 1
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        next += 1
        return true
    }

    private mutating func readValue(depth: Int) throws(AvroSchemaError) -> AvroJSON {
        guard depth < Self.depthMax else { throw error("nested too deep") }
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try readObject(depth: depth)
        case UInt8(ascii: "["): return try readArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try readString())
        case UInt8(ascii: "t"): return try readWord("true", .boolean(true))
        case UInt8(ascii: "f"): return try readWord("false", .boolean(false))
        case UInt8(ascii: "n"): return try readWord("null", .null)
        case nil: throw error("the text ends where a value should stand")
        default: return .number(try readNumber())
        }
    }

    private mutating func readWord(
        _ word: String, _ value: AvroJSON
    ) throws(AvroSchemaError) -> AvroJSON {
        guard bytes[next...].starts(with: word.utf8) else { throw error("not a JSON value") }
        next += word.utf8.count
        return value
    }

    private mutating func readObject(depth: Int) throws(AvroSchemaError) -> AvroJSON {
        next += 1
        var members: [AvroJSON.Member] = []
        var names: Set<String> = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object([]) }
        while true {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw error("a name in quotes is missing") }
            let name = try readString()
            guard names.insert(name).inserted else { throw error("\"\(name)\" stands twice") }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw error("a colon is missing") }
            members.append(.init(name, try readValue(depth: depth + 1)))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw error("a comma or } is missing") }
        }
    }

    private mutating func readArray(depth: Int) throws(AvroSchemaError) -> AvroJSON {
        next += 1
        var items: [AvroJSON] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array([]) }
        while true {
            items.append(try readValue(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(items) }
            guard take(UInt8(ascii: ",")) else { throw error("a comma or ] is missing") }
        }
    }

    private mutating func readNumber() throws(AvroSchemaError) -> String {
        let start = next
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try skipDigits() }
        if take(UInt8(ascii: ".")) { try skipDigits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try skipDigits()
        }
        return String(decoding: bytes[start..<next], as: UTF8.self)
    }

    private mutating func skipDigits() throws(AvroSchemaError) {
        let start = next
        while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { next += 1 }
        guard next > start else { throw error("not a JSON value") }
    }

    private mutating func readString() throws(AvroSchemaError) -> String {
        next += 1
        var content: [UInt8] = []
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                next += 1
                return String(decoding: content, as: UTF8.self)
            case UInt8(ascii: "\\"):
                next += 1
                content.append(contentsOf: Character(try readEscape()).utf8)
            case 0..<0x20:
                throw error("a control character in a string must be escaped")
            default:
                content.append(byte)
                next += 1
            }
        }
        throw error("the text ends inside a string")
    }

    private mutating func readEscape() throws(AvroSchemaError) -> Unicode.Scalar {
        guard let byte = peek else { throw error("the text ends inside a string") }
        next += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try readUnicodeEscape()
        default: throw error("no such escape")
        }
    }

    private mutating func readUnicodeEscape() throws(AvroSchemaError) -> Unicode.Scalar {
        let unit = try readHexUnit()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard unit < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw error("half of a surrogate pair")
        }
        let low = try readHexUnit()
        guard (0xDC00..<0xE000).contains(low),
            let scalar = Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
        else { throw error("half of a surrogate pair") }
        return scalar
    }

    private mutating func readHexUnit() throws(AvroSchemaError) -> UInt32 {
        guard next + 4 <= bytes.count else { throw error("an escape needs four digits") }
        var unit: UInt32 = 0
        for byte in bytes[next..<next + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw error("an escape needs four digits")
            }
            unit = unit << 4 | UInt32(digit)
        }
        next += 4
        return unit
    }
}
