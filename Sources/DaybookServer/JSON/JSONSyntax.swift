/// Tells whether bytes are one JSON value, so that they can stand inside another text as they are.
///
/// Source: RFC 8259. Nothing is decoded and nothing is allocated; nesting is bounded by the depth
/// that intake's parser has too, so that a body of brackets is no JSON instead of a deep stack.
enum JSONSyntax {
    /// How deeply arrays and objects may stand in each other.
    static let depthMax = 1024

    /// Whether `bytes` are one JSON value in UTF-8, with nothing but white space around it.
    static func isValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard isUTF8(bytes) else { return false }
        var scanner = JSONScanner(bytes: bytes)
        return scanner.value(depth: 0) && scanner.isAtEnd()
    }

    /// Whether `bytes` are UTF-8.
    static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let characters = bytes.bindMemory(to: UInt8.self)
        return (try? UTF8Span(validating: Span(_unsafeElements: characters))) != nil
    }
}

/// Walks over JSON text; every function passes over one thing and tells whether it was there.
private struct JSONScanner {
    let bytes: UnsafeRawBufferPointer
    var next = 0

    mutating func isAtEnd() -> Bool {
        skipSpace()
        return next == bytes.count
    }

    mutating func value(depth: Int) -> Bool {
        skipSpace()
        guard depth <= JSONSyntax.depthMax, let byte = peek() else { return false }
        switch byte {
        case UInt8(ascii: "{"): return members(depth: depth + 1)
        case UInt8(ascii: "["): return elements(depth: depth + 1)
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "n"): return word("null")
        default: return number()
        }
    }

    private mutating func members(depth: Int) -> Bool {
        next += 1
        skipSpace()
        if take(UInt8(ascii: "}")) { return true }
        while true {
            skipSpace()
            guard string() else { return false }
            skipSpace()
            guard take(UInt8(ascii: ":")), value(depth: depth) else { return false }
            skipSpace()
            if take(UInt8(ascii: "}")) { return true }
            guard take(UInt8(ascii: ",")) else { return false }
        }
    }

    private mutating func elements(depth: Int) -> Bool {
        next += 1
        skipSpace()
        if take(UInt8(ascii: "]")) { return true }
        while true {
            guard value(depth: depth) else { return false }
            skipSpace()
            if take(UInt8(ascii: "]")) { return true }
            guard take(UInt8(ascii: ",")) else { return false }
        }
    }

    private mutating func string() -> Bool {
        guard take(UInt8(ascii: "\"")) else { return false }
        while let byte = peek() {
            next += 1
            if byte == UInt8(ascii: "\"") { return true }
            if byte < 0x20 { return false }
            if byte == UInt8(ascii: "\\"), !escape() { return false }
        }
        return false
    }

    private mutating func escape() -> Bool {
        guard let byte = peek() else { return false }
        next += 1
        if byte != UInt8(ascii: "u") { return "\"\\/bfnrt".utf8.contains(byte) }
        for _ in 0..<4 {
            guard let digit = peek(), Character(UnicodeScalar(digit)).isHexDigit, digit < 0x80
            else { return false }
            next += 1
        }
        return true
    }

    private mutating func number() -> Bool {
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")), !digits() { return false }
        if take(UInt8(ascii: ".")), !digits() { return false }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "-")) { _ = take(UInt8(ascii: "+")) }
            return digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = next
        while let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { next += 1 }
        return next > start
    }

    private mutating func word(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard bytes.count - next >= count,
            bytes[next..<(next + count)].elementsEqual(
                UnsafeBufferPointer(start: word.utf8Start, count: count))
        else { return false }
        next += count
        return true
    }

    private func peek() -> UInt8? { next < bytes.count ? bytes[next] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        next += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            next += 1
        }
    }
}
