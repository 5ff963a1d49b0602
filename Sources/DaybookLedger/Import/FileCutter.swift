import Avro
import struct Crypto.SHA256
import DaybookIntake
import DaybookLog

/// A file on its way through intake: the bytes that come, cut into batches.
struct FileCutter: ~Copyable {
    struct Chunk {
        let number: Int
        let step: IntakeStep
        let batch: JudgedBatch
        /// Bytes of the file up to the chunk's end.
        let byteCount: Int64
        /// Blank lines since the chunk before.
        let blankCount: Int64
    }

    /// Blank lines since the last chunk.
    private(set) var blankCount: Int64 = 0
    private var buffer: ImportBuffer
    private var hash = SHA256()
    private var chunkCount = 0
    private var byteCount: Int64 = 0

    init(
        _ format: ImportRequest.Format, judge: Judge, rowLimit: Int
    ) throws(ImportError) {
        do { buffer = try ImportBuffer(format, judge: judge, rowLimit: rowLimit) } catch {
            throw .intake(error)
        }
    }

    /// The digest of all bytes that came.
    var digest: Digest { hash.finalize().withUnsafeBytes { Digest($0) } }

    /// The next batch of the file, or nil after the last.
    mutating func cut(
        _ next: () async throws -> Bytes?
    ) async throws(ImportError) -> Chunk? {
        while true {
            while buffer.isHungry {
                let bytes: Bytes?
                do { bytes = try await next() } catch { throw .source("\(error)") }
                bytes?.withUnsafeBytes { hash.update(bufferPointer: $0) }
                buffer.feed(bytes)
            }
            let step: IntakeStep
            do { step = try buffer.next() } catch { throw .intake(error) }
            byteCount += Int64(step.consumedByteCount)
            blankCount += Int64(step.blankLineCount)
            if let batch = step.batch {
                defer {
                    chunkCount += 1
                    blankCount = 0
                }
                return Chunk(
                    number: chunkCount, step: step, batch: batch, byteCount: byteCount,
                    blankCount: blankCount)
            }
            if buffer.isDone { return nil }
            precondition(buffer.isHungry, "a complete file is cut to its end")
        }
    }
}
