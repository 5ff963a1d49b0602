import NIOCore
import Synchronization

/// What was fetched of objects and not yet asked for.
///
/// Callers read front to back in pieces of a megabyte; a request for each would be a round trip for
/// each. The last few windows are kept, whoever fetched them, and one is given back when a file was
/// read to its end. Two threads that miss the same bytes both fetch them, which is correct.
final class ReadAhead: Sendable {
    /// How much a request fetches at least.
    static let byteCount = 8 << 20
    private static let windowCountMax = 4

    private struct Window {
        let key: String
        let start: UInt64
        let bytes: ByteBuffer
        /// Whether the object ends with it.
        let isLast: Bool

        var end: UInt64 { start + UInt64(bytes.readableBytes) }
    }

    /// The one that was used last stands last.
    private let windows = Mutex<[Window]>([])

    /// Fills the front of `buffer`; `fetch` gives fewer bytes than the range has only at the
    /// object's end.
    func read(
        _ key: String, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer,
        fetch: (Range<UInt64>) throws(BackupStorageError) -> ByteBuffer
    ) throws(BackupStorageError) -> Int {
        var count = 0
        while count < buffer.count {
            let position = offset + UInt64(count)
            let window: Window
            if let known = find(key, position) {
                window = known
            } else {
                let wanted = max(buffer.count - count, ReadAhead.byteCount)
                let bytes = try fetch(position..<position + UInt64(wanted))
                window = Window(
                    key: key, start: position, bytes: bytes, isLast: bytes.readableBytes < wanted)
                keep(window)
            }
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            let start = Int(position - window.start)
            let copied = min(room.count, window.bytes.readableBytes - start)
            window.bytes.withUnsafeReadableBytes { bytes in
                let part = bytes[start..<start + copied]
                room.copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
            }
            count += copied
            if count < buffer.count, window.isLast {
                forget(key)
                break
            }
        }
        return count
    }

    /// Drops what is kept of objects whose key begins so.
    func forget(_ prefix: String) {
        windows.withLock { $0.removeAll { $0.key.hasPrefix(prefix) } }
    }

    private func find(_ key: String, _ position: UInt64) -> Window? {
        windows.withLock { windows in
            let found = windows.firstIndex { window in
                window.key == key && window.start <= position
                    && (position < window.end || window.isLast && position == window.end)
            }
            guard let found else { return nil }
            let window = windows.remove(at: found)
            windows.append(window)
            return window
        }
    }

    private func keep(_ window: Window) {
        windows.withLock { windows in
            // A reader goes on: what stands before is not asked for again.
            windows.removeAll { $0.key == window.key && $0.end == window.start }
            windows.append(window)
            if windows.count > ReadAhead.windowCountMax { windows.removeFirst() }
        }
    }
}
