import CZlib

/// CRC-32 (ISO 3309, as zlib and gzip have it), begun with a segment's salt.
///
/// The salt is random and stands in the segment's header only, so neither a block of another
/// segment nor bytes that someone planted in a row can carry a checksum that holds here.
public enum StoredChecksum {
    /// The checksum of `bytes`, after `salt`.
    public static func of(_ bytes: UnsafeRawBufferPointer, salt: [UInt8] = []) -> UInt32 {
        var crc = crc32_z(0, nil, 0)
        crc = salt.withUnsafeBytes { crc32_z(crc, $0.bytes, $0.count) }
        crc = crc32_z(crc, bytes.bytes, bytes.count)
        return UInt32(truncatingIfNeeded: crc)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var bytes: UnsafePointer<UInt8>? {
        baseAddress?.assumingMemoryBound(to: UInt8.self)
    }
}
