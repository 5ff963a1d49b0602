import Foundation
import Logging
import Synchronization

/// Writes log lines as JSON objects, one a line, on standard error: `time`, `level`, `label`,
/// `message`, and whatever metadata there is. Never row data: that is for callers to keep.
public struct JSONLogHandler: LogHandler {
    /// Fields that every line has.
    public var metadata: Logger.Metadata = [:]
    /// The lowest level that is written.
    public var logLevel: Logger.Level
    /// Under what name Hummingbird gives a request's id.
    static let requestIDKey = "hb.request.id"
    private let label: String
    private let clock: @Sendable () -> String

    /// A handler for the logger called `label`; `clock` gives the time as RFC 3339.
    public init(
        label: String, level: Logger.Level, clock: @escaping @Sendable () -> String
    ) {
        self.label = label
        self.logLevel = level
        self.clock = clock
    }

    /// One of the fields that every line has.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line, in one call, so that lines of several threads stay whole.
    public func log(event: LogEvent) {
        var json = JSONWriter(capacity: 256)
        json.openObject()
        json.field("time", clock())
        json.field("level", event.level.rawValue)
        json.field("label", label)
        json.field("message", event.message.description)
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            json.field(key == JSONLogHandler.requestIDKey ? "request_id" : key, value.description)
        }
        json.closeObject()
        json.newline()
        let bytes = json.unsafeBytes
        _ = write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
}
