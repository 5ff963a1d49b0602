import DaybookLog
import FoundationEssentials

/// A tree head that a ledger signed: an anchor, if it is kept where the ledger's disk is not.
///
/// Source: C2SP tlog-checkpoint. Origin and key name are `daybook/<ledger id>`; after the root
/// there is one extension line, `position <n>`.
public struct SignedTreeHead: Sendable, Equatable {
    /// What was signed.
    public let head: TreeHead
    private let note: SignedNote

    /// Signs a state. A state whose end is not known to be durable must not be signed.
    public init(signing head: TreeHead, key: SigningKey) {
        self.head = head
        let name = SignedTreeHead.name(of: head.ledger)
        note = SignedNote(
            signing: """
                \(name)
                \(head.size)
                \(Data(head.root.bytes).base64EncodedString())
                position \(head.position)

                """, name: name, key: key)
    }

    /// Reads a checkpoint. Its signature is not looked at here: `isSigned(by:)`.
    ///
    /// - Throws: `ProofFault` if it is none of a ledger of ours.
    public init(_ text: String) throws(ProofFault) {
        note = try SignedNote(text)
        let lines = note.text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 5, !lines.dropLast().contains(""), let last = lines.last, last == "",
            lines[0].hasPrefix(SignedTreeHead.prefix),
            let ledger = LedgerID(lines[0].dropFirst(SignedTreeHead.prefix.count)),
            lines[0] == SignedTreeHead.name(of: ledger)
        else { throw ProofFault("it is not a checkpoint of a Daybook ledger") }
        guard let size = UInt64(lines[1]), String(size) == lines[1],
            let root = Data(base64Encoded: String(lines[2])), root.count == Digest.byteCount,
            lines[3].hasPrefix(SignedTreeHead.positionWord),
            let position = Position(lines[3].dropFirst(SignedTreeHead.positionWord.count)),
            position >= 0, lines[3] == SignedTreeHead.positionWord + String(position)
        else { throw ProofFault("the checkpoint's size, root or position is not of its form") }
        head = TreeHead(
            ledger: ledger, size: size, position: position,
            root: Array(root).withUnsafeBytes { Digest($0) })
    }

    /// The checkpoint, as it is kept.
    public var text: String { note.description }

    /// Whether this key of the ledger signed it.
    public func isSigned(by key: VerifyingKey) -> Bool {
        note.isSigned(by: key, name: SignedTreeHead.name(of: head.ledger))
    }

    private static let prefix = "daybook/"
    private static let positionWord = "position "

    private static func name(of ledger: LedgerID) -> String { prefix + ledger.description }
}
