import Glibc

/// Looks through damaged bytes for places where a frame may stand, in bounded memory.
///
/// A place counts only when its salted checksum holds, which the caller sees to.
struct FrameSearch {
    private let window: FileWindow
    private static let chunkByteCount = 1 << 16
    /// What the tags of all our frames begin with, and where in a frame that is.
    private static let tag = Array("DAYBK".utf8)
    private static let tagOffset = 8

    init(_ file: any DiskFile) {
        window = FileWindow(file)
    }

    /// The first place from `offset` on, and before `end`, where a frame's tag stands as it would.
    func next(from offset: UInt64, to end: UInt64) throws(SegmentFault) -> UInt64? {
        let needed = FrameSearch.tagOffset + FrameSearch.tag.count
        var place = offset
        while place < end {
            let wanted = min(FrameSearch.chunkByteCount, Int(end - place))
            let bytes = try window.bytes(at: place, count: wanted)
            if let found = FrameSearch.tagPlace(in: bytes) {
                return place + UInt64(found - FrameSearch.tagOffset)
            }
            guard bytes.count == wanted, wanted >= needed else { return nil }
            // A tag may begin in the last bytes and end behind them.
            place += UInt64(wanted - needed + 1)
        }
        return nil
    }

    private static func tagPlace(in bytes: UnsafeRawBufferPointer) -> Int? {
        var place = tagOffset
        while place + tag.count <= bytes.count, let base = bytes.baseAddress {
            guard let found = memchr(base + place, Int32(tag[0]), bytes.count - place) else {
                return nil
            }
            place = base.distance(to: UnsafeRawPointer(found))
            if bytes[place...].starts(with: tag) { return place }
            place += 1
        }
        return nil
    }
}
