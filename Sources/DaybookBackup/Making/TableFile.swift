import Avro
import struct Crypto.SHA256
import DaybookLog
import Dispatch
import Foundation
import Synchronization

/// Writes one file of a backup: blocks of encoded rows come in from the thread that reads them from
/// Postgres; they are compressed, framed, hashed and written on a thread of its own.
///
/// Between the two there are at most `waitingCountMax` blocks. A failure of the writing side is
/// thrown to whoever brings the next block.
final class TableFile: Sendable {
    /// What the file came to.
    struct Outcome: Sendable {
        let byteCount: UInt64
        let digest: Digest
    }

    /// Encoded rows, one behind the other.
    private struct Block: Sendable {
        let count: Int
        let bytes: Bytes
    }

    private struct State {
        var waiting: [Block] = []
        var isComplete = false
        var result: Result<Outcome, any Error>?
    }

    private let state = Mutex(State())
    private let room = DispatchSemaphore(value: TableFile.waitingCountMax)
    private let work = DispatchSemaphore(value: 0)
    private let end = DispatchSemaphore(value: 0)
    private static let waitingCountMax = 8

    /// A file on its way to the thread that writes it.
    // @unchecked: whoever hands it over does not use it any more.
    private struct Handed: @unchecked Sendable {
        let file: any BackupFileWriter
    }

    /// Begins to write into `file`, which nobody else uses; `header` comes first.
    init(_ file: any BackupFileWriter, header: ContainerHeader, level: Int?) {
        let handed = Handed(file: file)
        let thread = Thread { [self] in
            let result = Result { try TableFile.write(header, level, handed.file) { self.next() } }
            state.withLock { $0.result = result }
            // Nobody takes blocks any more: whoever brings one is not to wait.
            for _ in 0..<TableFile.waitingCountMax { room.signal() }
            end.signal()
        }
        thread.name = "backup-file"
        thread.stackSize = 1 << 20
        thread.start()
    }

    /// Takes a block of `count` rows.
    func append(_ bytes: Bytes, count: Int) throws {
        room.wait()
        let failure: (any Error)? = state.withLock { state in
            if case .failure(let error)? = state.result { return error }
            state.waiting.append(Block(count: count, bytes: bytes))
            return nil
        }
        if let failure { throw failure }
        work.signal()
    }

    /// Ends the file, waits until it is durable, and tells what it came to.
    func finish() throws -> Outcome {
        complete()
        end.wait()
        guard let result = state.withLock({ $0.result }) else {
            preconditionFailure("the result is there before the end is told")
        }
        return try result.get()
    }

    /// Ends the file without regard to it.
    func abandon() {
        complete()
        end.wait()
    }

    private func complete() {
        state.withLock { $0.isComplete = true }
        work.signal()
    }

    /// The next block, waited for; nil when the file is complete.
    private func next() -> Block? {
        while true {
            work.wait()
            let (block, isComplete) = state.withLock { state in
                (state.waiting.isEmpty ? nil : state.waiting.removeFirst(), state.isComplete)
            }
            if block != nil {
                room.signal()
                return block
            }
            if isComplete { return nil }
        }
    }

    private static func write(
        _ header: ContainerHeader, _ level: Int?, _ file: any BackupFileWriter,
        next: () -> Block?
    ) throws -> Outcome {
        var hash = SHA256()
        var byteCount: UInt64 = 0
        func put(_ bytes: UnsafeRawBufferPointer) throws {
            hash.update(bufferPointer: bytes)
            byteCount += UInt64(bytes.count)
            try file.write(bytes)
        }
        var compressor = BlockCompressor(codec: header.codec, level: level)
        var compressed = ByteSink(capacity: 1 << 18)
        var framed = ByteSink(capacity: 1 << 18)
        header.encode(into: &framed)
        try put(framed.unsafeBytes)
        while let block = next() {
            framed.removeAll()
            compressed.removeAll()
            block.bytes.withUnsafeBytes { compressor.compress($0, into: &compressed) }
            header.syncMarker.frame(
                count: block.count, compressed: compressed.unsafeBytes, into: &framed)
            try put(framed.unsafeBytes)
        }
        try file.finish()
        return Outcome(
            byteCount: byteCount, digest: hash.finalize().withUnsafeBytes { Digest($0) })
    }
}
