import Foundation

/// A decision that accepted rows no longer count: who made it, and why.
///
/// Its event refers to ranges of positions; the accepted rows in them leave the tables, and their
/// keys are free again. No two retractions have a position in common. The event stands alone in
/// its block, so that all keys before it are known when it comes.
public struct Retraction: Sendable, Equatable {
    /// The kind of its event.
    public static let kind = "retraction"
    /// At most so many ranges are retracted at once.
    public static let spanCountMax = 200_000
    /// A note has at most so many bytes of UTF-8.
    public static let noteByteCount = 4096

    /// Why, in somebody's words.
    public let note: String
    /// The name of an API key, or `local:<user>`.
    public let principal: String

    /// A retraction by `principal`. An event's `text` is JSON: `note` and `by`.
    ///
    /// - Precondition: the note is not empty and no longer than `noteByteCount`.
    public init(note: String, principal: String) {
        precondition(
            !note.isEmpty && note.utf8.count <= Self.noteByteCount, "a retraction says why")
        self.note = note
        self.principal = principal
    }

    /// Reads an event's text; nil if it is none of a retraction.
    public init?(text: [UInt8]) {
        guard let parts = try? JSONDecoder().decode(Parts.self, from: Data(text)) else {
            return nil
        }
        note = parts.note
        principal = parts.by ?? ""
    }

    private struct Parts: Codable {
        let note: String
        let by: String?
    }

    /// The event by which the accepted rows in these ranges are retracted.
    ///
    /// - Precondition: there is at least one, they are in order, and no two touch.
    public func control(of spans: [Range<Position>]) -> Control {
        precondition((1...Self.spanCountMax).contains(spans.count), "a retraction is of something")
        precondition(
            spans.allSatisfy { !$0.isEmpty }
                && zip(spans, spans.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound },
            "ranges are in order and apart")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(Parts(note: note, by: principal)) else {
            preconditionFailure("two strings are JSON")
        }
        return Control(kind: Self.kind, refersTo: spans, text: Array(text))
    }
}

/// A retraction as it stands in the log.
public struct StoredRetraction: Sendable, Equatable {
    /// Where its event stands.
    public let position: Position
    /// The ranges whose accepted rows it takes back, in order.
    public let spans: [Range<Position>]
    /// When the ledger took it.
    public let receivedAt: Microseconds
    /// Who, and why.
    public let retraction: Retraction
}

extension DurableBlock {
    /// The retraction that the block holds, if it is one: it stands alone in its block.
    ///
    /// - Throws: `LogError.corrupt` if a record does not read as its schema says.
    public func retraction() throws(LogError) -> StoredRetraction? {
        guard batchCount == 1, endPosition == firstPosition + 1 else { return nil }
        do {
            var found: StoredRetraction?
            try forEachBatch { reader in
                guard reader.facts.table.isEmpty,
                    try reader.nextBranch() == reader.schema.controlBranch
                else { return }
                found = try StoredRetraction(try reader.readControl(), of: reader.facts)
            }
            return found
        } catch {
            throw .unreadable(self)
        }
    }
}

extension StoredRetraction {
    /// Nil for an event of another kind.
    fileprivate init?(_ control: Control, of facts: BatchFacts) throws(FrameFault) {
        guard control.kind == Retraction.kind else { return nil }
        let isOrdered = zip(control.refersTo, control.refersTo.dropFirst())
            .allSatisfy { $0.upperBound < $1.lowerBound }
        guard let retraction = Retraction(text: control.text), isOrdered,
            control.refersTo.allSatisfy({ !$0.isEmpty }),
            control.refersTo.last.map({ $0.upperBound <= facts.position }) ?? false
        else { throw .badContent }
        self.init(
            position: facts.position, spans: control.refersTo, receivedAt: facts.receivedAt,
            retraction: retraction)
    }
}
