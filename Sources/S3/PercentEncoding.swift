/// The encoding that SigV4 asks for: all but letters, digits and `-._~` becomes `%XX`.
/// (AWS General Reference, "Create a signed AWS API request", `UriEncode`)
enum PercentEncoding {
    /// A name or value of a query.
    static func query(_ text: String) -> String { encode(text, keeping: nil) }

    /// A path; its slashes stay.
    static func path(_ text: String) -> String { encode(text, keeping: UInt8(ascii: "/")) }

    private static func encode(_ text: String, keeping other: UInt8?) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if isUnreserved(byte) || byte == other {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let digits = Array("0123456789ABCDEF".utf8)

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
