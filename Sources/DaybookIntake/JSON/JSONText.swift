import Avro

/// The text behind a JSON string's escapes.
enum JSONText {
    /// What a string with well-formed escapes can still hold that no text can.
    enum Fault {
        case loneSurrogate
        case zero
    }

    /// Appends what `string` (between its quotes, its escapes well-formed) stands for.
    ///
    /// Source: RFC 8259, section 7.
    static func unescape(_ string: UnsafeRawBufferPointer, into sink: inout ByteSink) -> Fault? {
        var place = 0
        while place < string.count {
            let byte = string[place]
            place += 1
            guard byte == UInt8(ascii: "\\") else {
                sink.append(byte: byte)
                continue
            }
            let letter = string[place]
            place += 1
            guard letter == UInt8(ascii: "u") else {
                sink.append(byte: plain(letter))
                continue
            }
            var unit = hexadecimal(string, &place)
            if unit == 0 { return .zero }
            if unit & 0xFC00 == 0xD800 {
                guard place + 6 <= string.count, string[place] == UInt8(ascii: "\\"),
                    string[place + 1] == UInt8(ascii: "u")
                else { return .loneSurrogate }
                place += 2
                let second = hexadecimal(string, &place)
                guard second & 0xFC00 == 0xDC00 else { return .loneSurrogate }
                unit = 0x10000 + (unit & 0x3FF) << 10 + second & 0x3FF
            }
            guard let scalar = Unicode.Scalar(unit) else { return .loneSurrogate }
            for byte in UTF8.encode(scalar).unsafelyUnwrapped { sink.append(byte: byte) }
        }
        return nil
    }

    private static func plain(_ letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: letter
        }
    }

    private static func hexadecimal(
        _ string: UnsafeRawBufferPointer, _ place: inout Int
    ) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            let byte = string[place]
            let digit = byte <= UInt8(ascii: "9") ? byte - UInt8(ascii: "0") : (byte | 0x20) - 0x57
            unit = unit << 4 | UInt32(digit)
            place += 1
        }
        return unit
    }
}
