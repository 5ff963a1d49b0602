import Avro
import DaybookLog

/// A file of the log, as far as it is durable: what a copy takes.
public struct DurableFile: Sendable, Equatable {
    /// The file's name in the log's folder.
    public let name: String
    /// How many bytes of it are durable and whole.
    public let byteCount: UInt64
    /// Whether it is sealed, and so never grows again.
    public let isSealed: Bool
}

extension LogReader {
    /// The name of the file that says how far a log is durable.
    public static let headFileName = HeadFile.name

    /// The segments as far as they are durable, in order: together with a head file of
    /// `headFileBytes` they are the same log.
    ///
    /// - Throws: `LogError` if a segment cannot be read.
    public func durableFiles() throws(LogError) -> [DurableFile] {
        var files: [DurableFile] = []
        for segment in view.segments {
            do {
                let file = try view.disk.open(segment.file.name, .read)
                let window = FileWindow(file)
                let magic = try window.bytes(at: segment.endOffset, count: 4)
                let isSealed =
                    magic.count == 4
                    && UInt32(littleEndian: magic.loadUnaligned(as: UInt32.self))
                        == FrameMagic.footer
                files.append(
                    DurableFile(
                        name: segment.file.name,
                        byteCount: isSealed ? try file.byteCount() : segment.endOffset,
                        isSealed: isSealed))
            } catch SegmentFault.disk(let error) {
                throw LogError(error)
            } catch let error as DiskError {
                throw LogError(error)
            } catch {
                throw .corrupt(
                    Corruption(
                        file: segment.file.name, offset: segment.endOffset,
                        position: segment.endPosition, what: FaultText.of(error)))
            }
        }
        return files
    }

    /// The bytes of a head file that says that the log is durable up to its end.
    public var headFileBytes: [UInt8] { HeadFile.bytes(head: view.head) }
}
