import DaybookLog

/// What a key may do.
public enum Scope: String, Sendable, CaseIterable, Codable {
    /// Append batches.
    case append
    /// Read rows, reports and batches.
    case read
    /// Read the log itself and its rejections.
    case audit
    /// All that changes how the ledger is run.
    case admin
}

/// Tells who a key belongs to.
public protocol KeyAuthority: Sendable {
    /// The holder of a key; nil if no such key is known.
    func caller(presenting key: String) -> Caller?
}

/// One key as it is kept: never the key itself.
public struct Key: Sendable, Codable, Equatable {
    /// The name of the key that the environment gives (`DAYBOOK_API_KEY`).
    public static let environmentName = "environment"
    /// Names that the log uses for others than keys.
    static let reservedNames = [environmentName, "system"]

    /// The key's name, which the log keeps as the principal.
    public let name: String
    /// SHA-256 of the key's text, in hexadecimal digits.
    public let sha256: String
    /// What it may do.
    public let scopes: [Scope]
    /// The tables it may touch; nil is all of them.
    public let tables: [String]?
    /// When the log took note of it; nil for keys of older programs.
    public var createdAtMicroseconds: Microseconds?

    /// The key whose text is `text`.
    public init(name: String, text: String, scopes: [Scope], tables: [String]?) {
        self.name = name
        self.sha256 = Key.digest(text).description
        self.scopes = scopes
        self.tables = tables
    }

    /// What the log says of it.
    public var facts: KeyFacts {
        KeyFacts(
            name: name, sha256Prefix: String(sha256.prefix(KeyFacts.prefixDigitCount)),
            scopes: scopes, tables: tables)
    }

    /// Makes a key's text: 256 random bits after a prefix by which scanners for leaks know it.
    public static func randomText() -> String {
        var generator = SystemRandomNumberGenerator()
        let words = (0..<4).map { _ in generator.next() as UInt64 }
        return "daybook_"
            + words.map { word in
                let digits = String(word, radix: 16)
                return String(repeating: "0", count: 16 - digits.count) + digits
            }.joined()
    }

    static func digest(_ text: String) -> Digest {
        var text = text
        return text.withUTF8 { Digest(of: UnsafeRawBufferPointer($0)) }
    }

    var caller: Caller {
        Caller(principal: name, scopes: Set(scopes), tables: tables.map(Set.init))
    }
}

/// A set of keys in memory.
public struct KeyRing: Sendable, KeyAuthority {
    private let keys: [(digest: SIMD4<UInt64>, caller: Caller)]

    /// A ring of these keys. One whose digest is none lets nobody in.
    public init(_ keys: [Key]) {
        self.keys = keys.compactMap { key in
            Digest(hexadecimal: key.sha256).map { (KeyRing.words($0), key.caller) }
        }
    }

    /// The holder of a key. Every key is compared to its end, so time tells nothing.
    public func caller(presenting key: String) -> Caller? {
        let digest = KeyRing.words(Key.digest(key))
        var found: Caller?
        for candidate in keys {
            let difference = candidate.digest ^ digest
            let bits = difference[0] | difference[1] | difference[2] | difference[3]
            if bits == 0 { found = candidate.caller }
        }
        return found
    }

    private static func words(_ digest: Digest) -> SIMD4<UInt64> {
        digest.withUnsafeBytes { $0.loadUnaligned(as: SIMD4<UInt64>.self) }
    }
}
