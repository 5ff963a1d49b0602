import Avro
import DaybookLog
import Testing

/// Frames whose checksum holds and whose fields lie: what a bug or an attacker could write.
@Suite("Frames with a valid checksum") struct ForgedFrameTests {
    /// The frame with `change` made, and its checksum put right again.
    private func forge(_ frame: FrameCase, _ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var bytes = frame.bytes
        change(&bytes)
        let checksum = bytes[8..<(bytes.count - 4)].withUnsafeBytes {
            StoredChecksum.of($0, salt: frame.isSalted ? Sample.salt : [])
        }
        bytes.replaceSubrange(
            (bytes.count - 4)..., with: withUnsafeBytes(of: checksum.littleEndian) { Array($0) })
        return bytes
    }

    private func store<T: FixedWidthInteger>(_ value: T, at offset: Int, in bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) {
            bytes.replaceSubrange(offset..<(offset + $0.count), with: $0)
        }
    }

    private func fault(_ frame: FrameCase, _ change: (inout [UInt8]) -> Void) -> FrameFault? {
        do {
            _ = try frame.read(forge(frame, change))
            return nil
        } catch {
            return error as? FrameFault
        }
    }

    @Test("The forger's checksums do hold")
    func harmless() throws {
        for frame in FrameCase.all { #expect(try frame.read(forge(frame) { _ in }) == frame.bytes) }
    }

    @Test("A version that is not known is named")
    func versions() {
        for frame in [FrameCase.block, .attestation, .footer] {
            #expect(fault(frame) { store(UInt16(2), at: 16, in: &$0) } == .unsupportedVersion(2))
        }
        // What a newer writer made for readers like this one is read.
        #expect(fault(.segmentHeader) { store(UInt16(2), at: 16, in: &$0) } == nil)
        #expect(
            fault(.segmentHeader) {
                store(UInt16(7), at: 16, in: &$0)
                store(UInt16(2), at: 18, in: &$0)
            } == .unsupportedVersion(7))
    }

    @Test("A block header that contradicts itself is refused")
    func blockHeader() {
        #expect(fault(.block) { store(UInt16(187), at: 18, in: &$0) } == .inconsistent)
        #expect(fault(.block) { store(Int64(-1), at: 68, in: &$0) } == .inconsistent)
        #expect(fault(.block) { store(UInt32(2), at: 76, in: &$0) } == .inconsistent)
        #expect(fault(.block) { store(UInt32(0), at: 80, in: &$0) } == .inconsistent)
        #expect(fault(.block) { store(Int64(13), at: 84, in: &$0) } == .inconsistent)
        #expect(fault(.block) { store(UInt64(2), at: 108, in: &$0) } == .inconsistent)
        let stored = UInt32(LogLimits.storedByteCount)
        #expect(fault(.block) { store(stored, at: 100, in: &$0) } == nil)
        #expect(fault(.block) { store(stored + 1, at: 100, in: &$0) } == .inconsistent)
        let content = UInt32(LogLimits.blockByteCount)
        #expect(fault(.block) { store(content, at: 104, in: &$0) } == nil)
        #expect(fault(.block) { store(content + 1, at: 104, in: &$0) } == .inconsistent)
    }

    @Test("A segment header whose frontier is not that of its size and root is refused")
    func segmentHeader() {
        #expect(fault(.segmentHeader) { store(UInt64(8), at: 156, in: &$0) } == .inconsistent)
        // As many bits: only the root can tell; and it covers digests, not the size.
        #expect(fault(.segmentHeader) { $0[164] ^= 1 } == .inconsistent)
        #expect(fault(.segmentHeader) { $0[200] ^= 1 } == .inconsistent)
        let limit = UInt32(LogLimits.schemaByteCount)
        #expect(fault(.segmentHeader) { store(limit + 1, at: 148, in: &$0) } == .inconsistent)
        #expect(fault(.segmentHeader) { store(limit + 4097, at: 152, in: &$0) } == .inconsistent)
    }

    @Test("A footer that promises four thousand million tables or blocks ends, and takes no memory")
    func footerCounts() {
        #expect(fault(.footer) { store(UInt32.max, at: 132, in: &$0) } == .inconsistent)
        let index = FrameCase.footer.bytes.count - 12 - 2 * 24 - 4
        #expect(fault(.footer) { store(UInt32.max, at: index, in: &$0) } == .inconsistent)
        #expect(fault(.footer) { store(UInt32(1), at: index, in: &$0) } == .inconsistent)
        #expect(fault(.footer) { store(UInt16.max, at: 136, in: &$0) } == .inconsistent)
        #expect(fault(.footer) { store(Int64(0), at: 60, in: &$0) } == .inconsistent)
    }

    @Test("A length beyond its limit is refused before it is used")
    func lengths() {
        for length in [0, 1, 11, LogLimits.frameByteCount + 1, 0x7FFF_FFFF, 0xFFFF_FFFF] {
            for frame in FrameCase.all {
                var bytes = frame.bytes
                store(UInt32(length), at: 4, in: &bytes)
                #expect(throws: FrameFault.notAFrame) { try frame.read(bytes) }
            }
        }
    }
}
