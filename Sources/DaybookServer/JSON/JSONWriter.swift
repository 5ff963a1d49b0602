import Avro
import Foundation

/// Writes JSON text front to back into bytes: no tree, no intermediate strings.
///
/// Source: RFC 8259. Commas are placed by the writer; nesting is the caller's: every `open` has its
/// `close`. Text that is already JSON is spliced with `raw`.
public struct JSONWriter: ~Copyable {
    /// What has been written. Values that have a writer of their own are appended to it by `value`.
    public private(set) var sink: ByteSink
    private var needsComma = false

    /// An empty text with room for `capacity` bytes before it grows.
    public init(capacity: Int = 1024) {
        sink = ByteSink(capacity: capacity)
    }

    /// How many bytes have been written.
    public var count: Int { sink.count }

    /// The text so far; valid until the next write.
    public var unsafeBytes: UnsafeRawBufferPointer { sink.unsafeBytes }

    /// Forgets the text and keeps the memory.
    public mutating func removeAll() {
        sink.removeAll()
        needsComma = false
    }

    /// Hands the text over without copying it.
    public consuming func finish() -> Bytes { sink.finish() }

    /// Ends a line of NDJSON.
    public mutating func newline() {
        sink.append(byte: UInt8(ascii: "\n"))
        needsComma = false
    }

    /// `{`: keys and values follow.
    public mutating func openObject() { open(UInt8(ascii: "{")) }
    /// `}`.
    public mutating func closeObject() { close(UInt8(ascii: "}")) }
    /// `[`: values follow.
    public mutating func openArray() { open(UInt8(ascii: "[")) }
    /// `]`.
    public mutating func closeArray() { close(UInt8(ascii: "]")) }

    /// The name of the value that follows.
    public mutating func key(_ name: String) {
        string(name)
        sink.append(byte: UInt8(ascii: ":"))
        needsComma = false
    }

    /// A string.
    public mutating func string(_ text: String) {
        var text = text
        text.withUTF8 { string(utf8: UnsafeRawBufferPointer($0)) }
    }

    /// A string whose bytes are known to be UTF-8.
    public mutating func string(utf8 bytes: UnsafeRawBufferPointer) {
        comma()
        sink.append(byte: UInt8(ascii: "\""))
        var start = 0
        for index in bytes.indices where JSONWriter.needsEscape(bytes[index]) {
            sink.append(raw: UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
            escape(bytes[index])
            start = index + 1
        }
        sink.append(raw: UnsafeRawBufferPointer(rebasing: bytes[start...]))
        sink.append(byte: UInt8(ascii: "\""))
        needsComma = true
    }

    /// An integer.
    public mutating func integer(_ value: some BinaryInteger) {
        raw(String(value))
    }

    /// A finite number in the shortest form that reads back the same; others are null.
    public mutating func number(_ value: Double) {
        raw(value.isFinite ? "\(value)" : "null")
    }

    /// `true` or `false`.
    public mutating func boolean(_ value: Bool) { raw(value ? "true" : "false") }

    /// Bytes as a string in base 64.
    public mutating func base64(_ bytes: UnsafeRawBufferPointer) {
        string(Data(bytes).base64EncodedString())
    }

    /// `null`.
    public mutating func null() { raw("null") }

    /// Text that is one JSON value already.
    public mutating func raw(_ json: String) {
        var json = json
        json.withUTF8 { raw(UnsafeRawBufferPointer($0)) }
    }

    /// Bytes that are one JSON value already.
    public mutating func raw(_ json: UnsafeRawBufferPointer) {
        comma()
        sink.append(raw: json)
        needsComma = true
    }

    /// A value that `write` puts into the text: valid JSON, or characters of a string that need no
    /// escapes if `quoted`.
    public mutating func value(quoted: Bool = false, _ write: (inout ByteSink) -> Void) {
        comma()
        if quoted { sink.append(byte: UInt8(ascii: "\"")) }
        write(&sink)
        if quoted { sink.append(byte: UInt8(ascii: "\"")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        comma()
        sink.append(byte: bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        sink.append(byte: bracket)
        needsComma = true
    }

    private mutating func comma() {
        if needsComma { sink.append(byte: UInt8(ascii: ",")) }
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func escape(_ byte: UInt8) {
        sink.append(byte: UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\n"): sink.append(byte: UInt8(ascii: "n"))
        case UInt8(ascii: "\r"): sink.append(byte: UInt8(ascii: "r"))
        case UInt8(ascii: "\t"): sink.append(byte: UInt8(ascii: "t"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): sink.append(byte: byte)
        default:
            let digits = Array("0123456789abcdef".utf8)
            sink.append(raw: Array("u00".utf8))
            sink.append(byte: digits[Int(byte >> 4)])
            sink.append(byte: digits[Int(byte & 15)])
        }
    }
}

extension JSONWriter {
    /// A member with a string.
    public mutating func field(_ name: String, _ text: String) {
        key(name)
        string(text)
    }

    /// A member with a string, or null.
    public mutating func field(_ name: String, _ text: String?) {
        key(name)
        if let text { string(text) } else { null() }
    }

    /// A member with an integer.
    public mutating func field(_ name: String, _ value: some BinaryInteger) {
        key(name)
        integer(value)
    }

    /// A member with a boolean.
    public mutating func field(_ name: String, _ value: Bool) {
        key(name)
        boolean(value)
    }
}
