import Foundation

/// A decision that rejections will not be mended: who made it, and why.
public struct Waiver: Sendable, Equatable {
    /// The kind of its event.
    public static let kind = "waiver"
    /// At most so many rejections are waived at once.
    public static let countMax = 1000
    /// A note has at most so many bytes of UTF-8.
    public static let noteByteCount = 4096

    /// Why, in somebody's words.
    public let note: String
    /// The name of an API key, or `local:<user>`.
    public let principal: String

    /// A waiver by `principal`. An event's `text` is JSON: `note` and `by`.
    ///
    /// - Precondition: the note is not empty and no longer than `noteByteCount`.
    public init(note: String, principal: String) {
        precondition(!note.isEmpty && note.utf8.count <= Self.noteByteCount, "a waiver says why")
        self.note = note
        self.principal = principal
    }

    /// Reads an event's text; nil if it is none of a waiver.
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

    /// The event by which the rejections at these positions are waived.
    public func control(of rejections: [Position]) -> Control {
        precondition((1...Self.countMax).contains(rejections.count), "a waiver is of something")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(Parts(note: note, by: principal)) else {
            preconditionFailure("two strings are JSON")
        }
        return Control(
            kind: Self.kind,
            refersTo: rejections.map { $0..<($0 + 1) }, text: Array(text))
    }
}
