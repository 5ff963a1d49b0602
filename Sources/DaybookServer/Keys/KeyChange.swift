import DaybookLog
import Foundation

/// What the log says of a key: enough to tell keys apart, not to guess one.
public struct KeyFacts: Sendable, Hashable, Codable {
    /// How many of a digest's hexadecimal digits the log gets.
    static let prefixDigitCount = 8

    /// The key's name, which is the principal of what it does.
    public let name: String
    /// The first digits of the SHA-256 of its text; nil for the environment's key, which a person
    /// may have thought up: the digits would help to guess it.
    public let sha256Prefix: String?
    /// What it may do.
    public let scopes: [Scope]
    /// The tables it may touch; nil is all of them.
    public let tables: [String]?

    /// The key of the environment.
    static let environment = KeyFacts(
        name: Key.environmentName, sha256Prefix: nil, scopes: Scope.allCases, tables: nil)

    private enum CodingKeys: String, CodingKey {
        case name, scopes, tables
        case sha256Prefix = "sha256_prefix"
    }

    /// All four, the missing ones as null: "all tables" is to be read, not to be missed.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(name, forKey: .name)
        try fields.encode(sha256Prefix, forKey: .sha256Prefix)
        try fields.encode(scopes, forKey: .scopes)
        try fields.encode(tables, forKey: .tables)
    }
}

/// A change of the keys as the log keeps it, one of the ledger's own events: `key_created` or
/// `key_revoked`, with a text in JSON.
struct KeyChange: Sendable, Equatable {
    enum Kind: String, Sendable {
        case created = "key_created"
        case revoked = "key_revoked"
    }

    let kind: Kind
    let facts: KeyFacts
    /// Who did it, `local:<user>`; nil if it was found done, in the file of the keys.
    let principal: String?

    private struct Parts: Codable {
        let by: String?
        let found: Bool?
    }

    init(_ kind: Kind, _ facts: KeyFacts, by principal: String?) {
        self.kind = kind
        self.facts = facts
        self.principal = principal
    }

    /// Reads one of the ledger's own events; nil if it is none of a key.
    init?(_ control: Control) {
        let decoder = JSONDecoder()
        let text = Data(control.text)
        guard let kind = Kind(rawValue: control.kind),
            let facts = try? decoder.decode(KeyFacts.self, from: text),
            let parts = try? decoder.decode(Parts.self, from: text)
        else { return nil }
        self.init(kind, facts, by: parts.by)
    }

    /// The event: `by` and the facts; `found` where nobody said who did it.
    var control: Control {
        struct Text: Encodable {
            let change: KeyChange

            func encode(to encoder: any Encoder) throws {
                try change.facts.encode(to: encoder)
                let found = change.principal == nil ? true : nil
                try Parts(by: change.principal, found: found).encode(to: encoder)
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(Text(change: self)) else {
            preconditionFailure("names and scopes are JSON")
        }
        return Control(kind: kind.rawValue, text: Array(text))
    }

    /// The idempotency key of the ledger's change number `number`, from 1: so the log's last change
    /// is found without reading the log, and a change that was half done is not recorded twice.
    static func idempotencyKey(_ number: Int) -> String { "key-change/\(number)" }
}
