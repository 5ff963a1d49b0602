import Crypto
import FoundationEssentials

/// A text and who signed it, as one text that people and other programs read.
///
/// Source: C2SP signed-note. Of its kinds of signature this knows Ed25519; others are passed over.
public struct SignedNote: Sendable, Equatable {
    /// One line of a signature.
    struct Signature: Sendable, Equatable {
        /// The key's name.
        let name: String
        /// Four bytes that tell keys of one name apart, then the signature itself.
        let bytes: [UInt8]
    }

    /// What is signed; ends with a newline.
    public let text: String
    private let signatures: [Signature]

    /// Longer notes are not read, in bytes.
    public static let byteCountMax = 64 << 10
    private static let keyIDByteCount = 4
    /// The signature's type: Ed25519 over the text.
    private static let type: UInt8 = 0x01

    /// Signs a text that ends with a newline.
    public init(signing text: String, name: String, key: SigningKey) {
        precondition(text.utf8.last == UInt8(ascii: "\n"), "a note's text ends with a newline")
        precondition(SignedNote.isName(name), "a key's name has no space and no plus")
        self.text = text
        let id = SignedNote.id(of: key.publicKey, name: name)
        signatures = [
            Signature(name: name, bytes: id + key.signature(of: Array(text.utf8)))
        ]
    }

    /// Reads a note.
    ///
    /// - Throws: `ProofFault` if the text is none.
    public init(_ note: String) throws(ProofFault) {
        let bytes = Array(note.utf8)
        let newline = UInt8(ascii: "\n")
        guard bytes.count <= SignedNote.byteCountMax,
            bytes.allSatisfy({ $0 >= 0x20 || $0 == newline }), bytes.last == newline,
            let gap = bytes.indices.dropFirst().last(where: {
                bytes[$0] == newline && bytes[$0 - 1] == newline
            })
        else {
            throw ProofFault("a signed note is a text, an empty line, and lines of signatures")
        }
        text = String(decoding: bytes[..<gap], as: UTF8.self)
        var signatures: [Signature] = []
        for line in bytes[(gap + 1)...].dropLast().split(
            separator: newline, omittingEmptySubsequences: false)
        {
            let parts = line.split(
                separator: UInt8(ascii: " "), omittingEmptySubsequences: false
            ).map { String(decoding: $0, as: UTF8.self) }
            guard parts.count == 3, parts[0] == "\u{2014}", SignedNote.isName(parts[1]),
                let signature = Data(base64Encoded: parts[2]),
                signature.count > SignedNote.keyIDByteCount
            else { throw ProofFault("a line of a signature is not of its form") }
            signatures.append(Signature(name: parts[1], bytes: Array(signature)))
        }
        guard !signatures.isEmpty else { throw ProofFault("nobody signed the note") }
        self.signatures = signatures
    }

    /// The whole note.
    public var description: String {
        let lines = signatures.map { signature in
            "\u{2014} \(signature.name) \(Data(signature.bytes).base64EncodedString())\n"
        }
        return text + "\n" + lines.joined()
    }

    /// Whether the key of this name signed the text. Of several signatures that say they are its,
    /// each must hold.
    public func isSigned(by key: VerifyingKey, name: String) -> Bool {
        let id = SignedNote.id(of: key, name: name)
        let own = signatures.filter { $0.name == name && $0.bytes.starts(with: id) }
        return !own.isEmpty
            && own.allSatisfy {
                key.isValid(Array($0.bytes.dropFirst(id.count)), of: Array(text.utf8))
            }
    }

    /// SHA-256(name ‖ newline ‖ type ‖ key), its first four bytes.
    private static func id(of key: VerifyingKey, name: String) -> [UInt8] {
        let digest = SHA256.hash(data: Array("\(name)\n".utf8) + [type] + key.bytes)
        return Array(digest.prefix(keyIDByteCount))
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.unicodeScalars.allSatisfy { !$0.properties.isWhitespace && $0 != "+" }
    }
}

/// Why something is no proof, no anchor or no receipt: in words, for whoever gave it.
public struct ProofFault: Error, Equatable, CustomStringConvertible {
    /// What is wrong with it.
    public let description: String

    init(_ description: String) { self.description = description }
}
