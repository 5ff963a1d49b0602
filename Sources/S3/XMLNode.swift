/// An element of an answer: its name without a prefix, its text, and the elements in it.
///
/// The reader is strict and small on purpose. It knows no document type, so no entity can be
/// declared and none expands; what is nested too deeply is refused.
struct XMLNode: Equatable {
    var name: String
    var text = ""
    var children: [XMLNode] = []

    /// The text of the first element of a name in this one.
    subscript(name: String) -> String? { first(name)?.text }

    func first(_ name: String) -> XMLNode? { children.first { $0.name == name } }

    func all(_ name: String) -> [XMLNode] { children.filter { $0.name == name } }

    /// A document's element.
    init(document: some Sequence<UInt8>) throws(S3Error) {
        var reader = XMLReader(bytes: Array(document))
        self = try reader.document()
    }

    init(name: String) { self.name = name }

    /// Text as it stands in a document.
    static func escape(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\r": result += "&#13;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Goes through a document once, front to back.
private struct XMLReader {
    private static let depthMax = 16
    private static let entities: [String: UInt32] = [
        "amp": 0x26, "lt": 0x3c, "gt": 0x3e, "quot": 0x22, "apos": 0x27,
    ]

    private let bytes: [UInt8]
    private var next = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(S3Error) -> XMLNode {
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { next = 3 }
        try skipProlog()
        let node = try element(depth: 1)
        try skipProlog()
        guard next == bytes.count else { throw fault("something stands behind its element") }
        return node
    }

    /// Spaces, comments and instructions such as `<?xml … ?>`.
    private mutating func skipProlog() throws(S3Error) {
        while true {
            while next < bytes.count, isSpace(bytes[next]) { next += 1 }
            if at("<?") {
                _ = try text(before: "?>")
            } else if at("<!--") {
                _ = try text(before: "-->")
            } else {
                return
            }
        }
    }

    /// An element from its `<` on.
    private mutating func element(depth: Int) throws(S3Error) -> XMLNode {
        guard depth <= XMLReader.depthMax else { throw fault("it is nested too deeply") }
        guard at("<"), !at("<!") else { throw fault("an element is missing, or it has a DOCTYPE") }
        next += 1
        let fullName = try name()
        var node = XMLNode(name: String(fullName.split(separator: ":").last ?? ""))
        if try attributes() { return node }
        var text: [UInt8] = []
        while true {
            if at("</") {
                next += 2
                guard try name() == fullName else { throw fault("the end of \(fullName) is wrong") }
                while next < bytes.count, isSpace(bytes[next]) { next += 1 }
                guard at(">") else { throw fault("the end of \(fullName) is wrong") }
                next += 1
                node.text = try utf8(text[...])
                return node
            } else if at("<!--") {
                _ = try self.text(before: "-->")
            } else if at("<![CDATA[") {
                next += 9
                text += try self.text(before: "]]>")
            } else if at("<") {
                node.children.append(try element(depth: depth + 1))
            } else if at("&") {
                text += try reference()
            } else if next < bytes.count {
                text.append(bytes[next])
                next += 1
            } else {
                throw fault("\(fullName) does not end")
            }
        }
    }

    private mutating func name() throws(S3Error) -> String {
        let start = next
        while next < bytes.count, isName(bytes[next]) { next += 1 }
        guard next > start else { throw fault("a name is missing") }
        return try utf8(bytes[start..<next])
    }

    /// Passes the attributes, which nobody asks for; whether the element is empty (`/>`).
    private mutating func attributes() throws(S3Error) -> Bool {
        while next < bytes.count {
            if at("/>") {
                next += 2
                return true
            }
            let byte = bytes[next]
            next += 1
            if byte == UInt8(ascii: ">") { return false }
            if byte == UInt8(ascii: "<") { break }
            guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") else { continue }
            while next < bytes.count, bytes[next] != byte { next += 1 }
            next += 1
        }
        throw fault("a tag does not end")
    }

    /// `&amp;`, `&#10;`, `&#xa;`
    private mutating func reference() throws(S3Error) -> [UInt8] {
        next += 1
        let body = try utf8(try text(before: ";")[...])
        var code = XMLReader.entities[body]
        if body.hasPrefix("#x") {
            code = UInt32(body.dropFirst(2), radix: 16)
        } else if body.hasPrefix("#") {
            code = UInt32(body.dropFirst())
        }
        guard let code, code != 0, let scalar = Unicode.Scalar(code) else {
            throw fault("it has an entity that XML does not know")
        }
        return Array(String(Character(scalar)).utf8)
    }

    /// What stands before an end, which is passed too.
    private mutating func text(before end: StaticString) throws(S3Error) -> [UInt8] {
        let start = next
        while next < bytes.count {
            if at(end) {
                let text = Array(bytes[start..<next])
                next += end.utf8CodeUnitCount
                return text
            }
            next += 1
        }
        throw fault("a part of it does not end")
    }

    private func at(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { bytes[next...].starts(with: $0) }
    }

    private func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0a, 0x0d].contains(byte) }

    private func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"),
            UInt8(ascii: "-"), UInt8(ascii: "."), 0x80...:
            true
        default: false
        }
    }

    private func utf8(_ bytes: ArraySlice<UInt8>) throws(S3Error) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw fault("it is not UTF-8")
        }
        return text
    }

    private func fault(_ what: String) -> S3Error {
        .malformedAnswer("the storage's answer is no XML that can be read: \(what)")
    }
}
