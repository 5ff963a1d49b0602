import Avro
import DaybookLog

/// Under what the log's rows were written, by the segments' headers alone.
extension LogView {
    /// Every schema that the log has had, once each, in the order in which they came.
    var schemas: [LogSchema] {
        var found: [LogSchema] = []
        for segment in segments where !found.contains(segment.file.schema) {
            found.append(segment.file.schema)
        }
        return found
    }

    /// Every record under which there are accepted rows, once each, in the order in which they
    /// came. Where a segment's counts are not whole, all its tables count.
    var writtenRecords: [AvroSchema.Record] {
        var found: [AvroSchema.Record] = []
        for segment in segments {
            for record in segment.file.schema.records where !found.contains(record) {
                if segment.mayHold(record.name.name) { found.append(record) }
            }
        }
        return found
    }
}

/// A log in segments, each of which says under what its rows were written.
public protocol SegmentedLog: LogSource {
    /// Every schema that the log has had, once each, in the order in which they came.
    var schemas: [LogSchema] { get }

    /// Every record under which there are accepted rows, once each, in the order in which they
    /// came; named as its table.
    var writtenRecords: [AvroSchema.Record] { get }

    /// The positions at which segments begin, in order. A new dictionary begins a new segment.
    var segmentStarts: [Position] { get }
}

extension LogReader: SegmentedLog {
    /// Every schema that the log has had, once each, in the order in which they came.
    public var schemas: [LogSchema] { view.schemas }
    /// Every record under which there are accepted rows, once each.
    public var writtenRecords: [AvroSchema.Record] { view.writtenRecords }
    /// The positions at which segments begin, in order.
    public var segmentStarts: [Position] { view.segmentStarts }
}

extension SegmentLog: SegmentedLog {
    /// Every schema that the log has had, once each, in the order in which they came.
    public var schemas: [LogSchema] { currentView.schemas }
    /// Every record under which there are accepted rows, once each.
    public var writtenRecords: [AvroSchema.Record] { currentView.writtenRecords }
    /// The positions at which segments begin, in order.
    public var segmentStarts: [Position] { currentView.segmentStarts }
}

extension LogView {
    fileprivate var segmentStarts: [Position] { segments.map(\.file.header.basePosition) }
}
