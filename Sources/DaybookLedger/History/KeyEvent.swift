import Avro
import DaybookLog
import Foundation

/// One accepted row of a key: where it came from, and what became of it.
public struct KeyEvent: Sendable {
    /// What took the row back.
    public struct Retraction: Sendable, Equatable {
        /// The kind of its event.
        public static let kind = "retraction"

        /// The position of that event.
        public let position: Position
        /// The id of its batch.
        public let batchID: String
        /// When its batch was received.
        public let receivedAt: Microseconds
        /// Why, in somebody's words; nil if the event does not say.
        public let note: String?
        /// The name of an API key, or `local:<user>`; nil if the event does not say.
        public let by: String?

        /// The retraction that one of the ledger's own events is.
        init(_ control: Control, at position: Position, of batch: BatchFacts) {
            let words = try? JSONDecoder().decode(Words.self, from: Data(control.text))
            self.position = position
            batchID = batch.id
            receivedAt = batch.receivedAt
            note = words?.note
            by = words?.by
        }

        private struct Words: Decodable {
            let note: String?
            let by: String?
        }
    }

    /// The row's position.
    public let position: Position
    /// Index of the row in its batch, from 0.
    public let index: Int
    /// What its batch says; rows are not among it.
    public let batch: BatchFacts
    /// The leaf of the batch in the ledger's tree.
    public let leaf: Digest
    /// The schema of the row, as it was written.
    public let schema: LogSchema
    /// The row's table in the schema.
    public let branch: Int
    /// The row's Avro bytes, without the branch.
    public let row: [UInt8]
    /// The first rejection of the same row, if it came in the place of a rejected one.
    public internal(set) var corrected: StoredRejection?
    /// What took it back; nil while it stands.
    public internal(set) var retraction: Retraction?

    /// Where the row starts in its file, from 1; nil where there are no lines.
    public var line: Int64? { batch.line(ofRow: index) }
    /// The position of the first rejection of the same row, if it corrects one.
    var correctedPosition: Position? { batch.corrects.first { $0.row == index }?.position }
}

/// Whether the table has a row of a key.
public enum KeyPresence: String, Sendable, CaseIterable {
    /// It does.
    case present
    /// It had one, which was taken back.
    case retracted
    /// It never had one.
    case absent
}
