import Crypto
import FoundationEssentials
import Glibc

/// The key by which a ledger signs what it says of itself: manifests of backups, tree heads.
///
/// Ed25519 (RFC 8032). The private part stands in a file of the data folder, its owner's alone, as
/// PKCS #8 in PEM, which `openssl` reads. The public part is in the log's first event.
public struct SigningKey: Sendable {
    private let seed: [UInt8]
    /// By which others see that it was this key that signed.
    public let publicKey: VerifyingKey

    /// Reads the key at `path`; makes it, synced, if there is none.
    ///
    /// - Throws: `LedgerError.state` if the file is no such key, or cannot be read or written.
    public init(path: String) throws(LedgerError) {
        if access(path, F_OK) != 0 { try SigningKey.make(path) }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8),
            let seed = PEM.decode(text, label: SigningKey.label, prefix: SigningKey.prefix)
        else {
            throw .state(
                "\(path) is no Ed25519 key in PEM; put the ledger's own key back, or move the file "
                    + "away and another key is made")
        }
        try self.init(seed: seed)
    }

    /// The key of these 32 bytes.
    public init(seed: [UInt8]) throws(LedgerError) {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            throw .state("a signing key has 32 bytes")
        }
        self.seed = seed
        publicKey = VerifyingKey(bytes: Array(key.publicKey.rawRepresentation))
    }

    /// The signature of `bytes`, 64 bytes.
    public func signature(of bytes: [UInt8]) -> [UInt8] {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed),
            let signature = try? key.signature(for: bytes)
        else { preconditionFailure("a key that was read signs") }
        return Array(signature)
    }

    private static let label = "PRIVATE KEY"
    /// RFC 8410: version, algorithm Ed25519, an octet string within an octet string.
    private static let prefix: [UInt8] = [
        0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ]

    /// Written aside, synced and linked into place, so that of two makers one wins.
    private static func make(_ path: String) throws(LedgerError) {
        let seed = Array(Curve25519.Signing.PrivateKey().rawRepresentation)
        let text = PEM.encode(seed, label: label, prefix: prefix)
        let new = "\(path).\(getpid())"
        let descriptor = open(new, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .state("\(new) cannot be written") }
        defer { unlink(new) }
        let bytes = Array(text.utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count
        let isSynced = fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, isSynced else { throw .state("\(new) cannot be written") }
        guard link(new, path) == 0 || errno == EEXIST else {
            throw .state("\(path) cannot be made")
        }
    }
}

/// The public part of a ledger's signing key.
public struct VerifyingKey: Sendable, Hashable, CustomStringConvertible {
    /// The 32 bytes of the point (RFC 8032).
    public let bytes: [UInt8]

    /// A key of 32 bytes.
    public init(bytes: [UInt8]) {
        precondition(bytes.count == 32, "an Ed25519 public key has 32 bytes")
        self.bytes = bytes
    }

    /// A key from 64 hexadecimal digits; nil if it is none.
    public init?(_ text: String) {
        let digits = text.compactMap(\.hexDigitValue).map { UInt8($0) }
        guard digits.count == 64, text.utf8.count == 64 else { return nil }
        bytes = stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// A key in PEM, as `pem` gives it; nil if it is none.
    public init?(pem text: String) {
        guard
            let bytes = PEM.decode(
                text, label: VerifyingKey.label, prefix: VerifyingKey.prefix)
        else { return nil }
        self.bytes = bytes
    }

    /// 64 hexadecimal digits.
    public var description: String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// Whether `signature` was made over `signed` by the private part.
    public func isValid(_ signature: [UInt8], of signed: [UInt8]) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes) else {
            return false
        }
        return key.isValidSignature(signature, for: signed)
    }

    /// The key as `openssl` reads it: SubjectPublicKeyInfo in PEM (RFC 8410).
    public var pem: String {
        PEM.encode(bytes, label: VerifyingKey.label, prefix: VerifyingKey.prefix)
    }

    private static let label = "PUBLIC KEY"
    private static let prefix: [UInt8] = [
        0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
    ]
}

/// A key of 32 bytes behind a fixed prefix, in PEM (RFC 7468).
private enum PEM {
    static func encode(_ key: [UInt8], label: String, prefix: [UInt8]) -> String {
        "-----BEGIN \(label)-----\n" + Data(prefix + key).base64EncodedString()
            + "\n-----END \(label)-----\n"
    }

    static func decode(_ text: String, label: String, prefix: [UInt8]) -> [UInt8]? {
        let lines = text.split(whereSeparator: \.isNewline).map(String.init)
        guard lines.first == "-----BEGIN \(label)-----", lines.last == "-----END \(label)-----",
            let data = Data(base64Encoded: lines.dropFirst().dropLast().joined()),
            data.count == prefix.count + 32, data.starts(with: prefix)
        else { return nil }
        return Array(data.dropFirst(prefix.count))
    }
}
