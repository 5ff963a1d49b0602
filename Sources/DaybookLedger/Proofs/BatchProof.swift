import DaybookLog
import FoundationEssentials

/// What proves, to anyone and without the log, that a batch is in a ledger: one file.
public struct BatchProof: Sendable, Equatable {
    /// The batch's id, as its receipt has it.
    public let batchID: String
    /// The first row's position.
    public let position: Position
    /// How many rows it has.
    public let rowCount: Int
    /// Where its leaf stands in the tree of `head`.
    public let path: BatchPath
    /// The state that it is proven to be in, signed.
    public let head: SignedTreeHead
    /// The key that the file says signed it.
    public let key: VerifyingKey

    /// The proof of a batch in a log, up to `head`, and the consistency path from the tree of
    /// `earlierSize` leaves.
    ///
    /// - Throws: `.log` if the log cannot be read, or its records contradict its blocks' headers.
    public init(
        of receipt: Receipt, in log: any LogSource, head: TreeHead, from earlierSize: UInt64?,
        key: SigningKey
    ) throws(LedgerError) {
        batchID = receipt.batchID
        position = receipt.position
        rowCount = receipt.rowCount
        do {
            path = try log.merklePath(ofBatchAt: receipt.position, in: head, from: earlierSize)
        } catch {
            throw .log(error)
        }
        self.head = SignedTreeHead(signing: head, key: key)
        self.key = key.publicKey
    }

    // MARK: As a file

    /// The members of the file. Digests are hexadecimal.
    private struct File: Codable {
        struct Consistency: Codable {
            let from_size: UInt64
            let from_root: String
            let path: [String]
        }

        let format: String
        let version: Int
        let ledger: String
        let batch_id: String
        let position: Position
        let rows: Int
        let leaf_index: UInt64
        let leaf: String
        let inclusion: [String]
        let consistency: Consistency?
        let checkpoint: String
        let public_key: String
    }

    private static let format = "daybook-proof"
    private static let version = 1

    /// Reads a proof. Whether it holds is for `ProofCheck` to say.
    ///
    /// - Throws: `ProofFault` that says what is not as it must be.
    public init(json: [UInt8]) throws(ProofFault) {
        guard let file = try? JSONDecoder().decode(File.self, from: Data(json)),
            file.format == BatchProof.format
        else { throw ProofFault("it is not a proof that Daybook made") }
        guard file.version == BatchProof.version else {
            throw ProofFault("proofs of version \(file.version) are not known here")
        }
        head = try SignedTreeHead(file.checkpoint)
        guard file.ledger == head.head.ledger.description else {
            throw ProofFault("the checkpoint is of another ledger than the proof says")
        }
        guard let key = VerifyingKey(file.public_key) else {
            throw ProofFault("public_key is not a key")
        }
        guard file.position >= 0, file.rows > 0 else {
            throw ProofFault("position or rows are not of their form")
        }
        self.key = key
        batchID = file.batch_id
        position = file.position
        rowCount = file.rows
        var earlier: BatchPath.Earlier?
        if let found = file.consistency {
            earlier = BatchPath.Earlier(
                size: found.from_size, root: try BatchProof.digest(found.from_root),
                path: try BatchProof.digests(found.path))
        }
        path = BatchPath(
            index: file.leaf_index, leaf: try BatchProof.digest(file.leaf), head: head.head,
            inclusion: try BatchProof.digests(file.inclusion), earlier: earlier)
    }

    /// The file: JSON, its members in the order of their names.
    public var json: [UInt8] {
        let file = File(
            format: BatchProof.format, version: BatchProof.version,
            ledger: head.head.ledger.description, batch_id: batchID, position: position,
            rows: rowCount, leaf_index: path.index, leaf: path.leaf.description,
            inclusion: path.inclusion.map(\.description),
            consistency: path.earlier.map { earlier in
                File.Consistency(
                    from_size: earlier.size, from_root: earlier.root.description,
                    path: earlier.path.map(\.description))
            }, checkpoint: head.text, public_key: key.description)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(file) else {
            preconditionFailure("texts and numbers can be written as JSON")
        }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    private static func digest(_ text: String) throws(ProofFault) -> Digest {
        guard let digest = Digest(hexadecimal: text) else {
            throw ProofFault("a digest has 64 hexadecimal digits")
        }
        return digest
    }

    private static func digests(_ texts: [String]) throws(ProofFault) -> [Digest] {
        // No tree of 64-bit sizes has longer paths.
        guard texts.count <= 128 else { throw ProofFault("a path is longer than any tree is high") }
        var digests: [Digest] = []
        for text in texts { digests.append(try digest(text)) }
        return digests
    }
}

/// The part of an append's answer that a proof is held against.
public struct KeptReceipt: Sendable, Equatable {
    /// The batch's id.
    public let batchID: String
    /// The first row's position.
    public let position: Position
    /// How many rows it has.
    public let rowCount: Int
    /// The digest of its record.
    public let leaf: Digest

    private struct Answer: Decodable {
        let batch_id: String
        let position: Position
        let rows: Int
        let leaf: String
    }

    /// Reads the JSON that an append was answered with, as it was kept.
    ///
    /// - Throws: `ProofFault` if a member is missing.
    public init(json: [UInt8]) throws(ProofFault) {
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(json)),
            let leaf = Digest(hexadecimal: answer.leaf)
        else {
            throw ProofFault(
                "a receipt is the JSON answer to an append, with batch_id, position, rows and leaf")
        }
        batchID = answer.batch_id
        position = answer.position
        rowCount = answer.rows
        self.leaf = leaf
    }
}
