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

    /// A salt that acts as the unknown one does under which `bytes` have this checksum.
    ///
    /// A salt acts by the 32 bits that it leaves in the register. Run backwards over the bytes, the
    /// checksum gives these; and four bytes can be chosen that leave them too. So any whole frame
    /// of a segment gives back what its lost header held. Every bytes have some such salt: only a
    /// second checksum tells whether it is the segment's.
    package static func salt(
        givingChecksum checksum: UInt32, over bytes: UnsafeRawBufferPointer
    ) -> [UInt8] {
        var wanted = ~checksum
        for byte in bytes.reversed() { wanted = stepBack(wanted) ^ UInt32(byte) }
        let prefix = [UInt8](repeating: 0, count: SegmentHeader.saltByteCount - 4)
        let reached = prefix.withUnsafeBytes { ~of($0) }
        // Four bytes act as if they had been added to the register before four zeros.
        for _ in 0..<4 { wanted = stepBack(wanted) }
        return prefix + withUnsafeBytes(of: (wanted ^ reached).littleEndian) { Array($0) }
    }

    /// The register before a byte of zeros that left it so.
    private static func stepBack(_ register: UInt32) -> UInt32 {
        let polynomial: UInt32 = 0xEDB8_8320
        return (0..<8).reduce(register) { bits, _ in
            // The polynomial alone has the highest bit: whether it was added is seen by that.
            bits >> 31 == 1 ? (bits ^ polynomial) << 1 | 1 : bits << 1
        }
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var bytes: UnsafePointer<UInt8>? {
        baseAddress?.assumingMemoryBound(to: UInt8.self)
    }
}
