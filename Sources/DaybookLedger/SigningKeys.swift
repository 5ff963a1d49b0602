import DaybookLog
import FoundationEssentials

/// The public keys that a log says are its ledger's.
public enum SigningKeys {
    /// What a `genesis` or `signing_key` event says of a key.
    private struct Text: Decodable {
        let signing_key: String?
    }

    /// The kind of the event by which a ledger takes up another key.
    static let kind = "signing_key"

    /// The key in the log's first event; nil if an older program wrote it, or there is no event.
    ///
    /// - Throws: `LedgerError.log` if the log cannot be read.
    public static func first(of log: any LogSource) throws(LedgerError) -> VerifyingKey? {
        guard log.durable.position > 0 else { return nil }
        return try keys(of: log, 0..<1).first
    }

    /// All keys that the log has named, in order: every event is looked at.
    ///
    /// - Throws: `LedgerError.log` if the log cannot be read.
    public static func all(of log: any LogSource) throws(LedgerError) -> [VerifyingKey] {
        try keys(of: log, 0..<log.durable.position)
    }

    private static func keys(
        of log: any LogSource, _ positions: Range<Position>
    ) throws(LedgerError) -> [VerifyingKey] {
        var keys: [VerifyingKey] = []
        var position = positions.lowerBound
        do {
            while position < positions.upperBound {
                for block in try log.blocks(from: position, byteLimit: 4 << 20) {
                    try block.forEachBatch { reader in
                        guard reader.facts.table.isEmpty,
                            positions.contains(reader.facts.position)
                        else { return }
                        while try reader.nextBranch() == reader.schema.controlBranch {
                            if let key = key(in: try reader.readControl()) { keys.append(key) }
                        }
                    }
                    position = block.endPosition
                }
            }
        } catch let error as LogError {
            throw .log(error)
        } catch {
            throw .log(.unreadableRecord(at: position, error))
        }
        return keys
    }

    private static func key(in control: Control) -> VerifyingKey? {
        guard ["genesis", kind].contains(control.kind),
            let text = try? JSONDecoder().decode(Text.self, from: Data(control.text))
        else { return nil }
        return text.signing_key.flatMap { VerifyingKey($0) }
    }
}

extension Ledger {
    /// Writes down that the ledger signs by `key`, unless that was written before.
    public func announce(
        _ key: VerifyingKey,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        let control = Control(
            kind: SigningKeys.kind,
            text: Array(#"{"algorithm":"Ed25519","signing_key":"\#(key)"}"#.utf8))
        let name = "signing-key/\(key)"
        record(
            [control], idempotencyKey: name,
            requestDigest: Array(name.utf8).withUnsafeBytes { Digest(of: $0).bytes },
            completion: completion)
    }
}
