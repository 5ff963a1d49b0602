import Avro
import DaybookLog
import Foundation
import TestSupport
import Testing

@Suite("LZ4 frames") struct LZ4FrameTests {
    private func compress(_ content: [UInt8]) -> [UInt8] {
        var compressor = LZ4Compressor()
        return bytes { sink in content.withUnsafeBytes { compressor.compress($0, into: &sink) } }
    }

    private func decompress(_ stored: [UInt8], _ count: Int) throws -> [UInt8] {
        var decompressor = LZ4Decompressor()
        return try stored.withUnsafeBytes {
            try decompressor.decompress($0, contentByteCount: count)
        }.unsafeArray
    }

    /// Nothing, a byte, text, noise, and more than one LZ4 block of each.
    private func contents(_ generator: inout SeededGenerator) -> [[UInt8]] {
        let text = Array(String(repeating: "one batch is one record; ", count: 20_000).utf8)
        let noise = (0..<600_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return [[], [42], Array(text.prefix(100)), text, noise]
    }

    @Test("Stock lz4 tests them and gives the content back")
    func stock() throws {
        var generator = SeededGenerator()
        for content in contents(&generator) {
            let stored = compress(content)
            #expect(try runTool("lz4", ["-t"], input: Data(stored)).status == 0)
            let result = try runTool("lz4", ["-dc"], input: Data(stored))
            #expect(result.status == 0 && Array(result.output) == content, "\(generator.seed)")
            #expect(try decompress(stored, content.count) == content, "\(generator.seed)")
            // Content size and content checksum are in the frame: bits 3 and 2 of FLG.
            #expect(stored[4] & 0b0000_1100 == 0b0000_1100 || content.isEmpty)
        }
    }

    @Test("What stock lz4 writes is read")
    func fromStock() throws {
        var generator = SeededGenerator()
        for content in contents(&generator) {
            for level in ["-1", "-9", "-BD"] {
                let result = try runTool("lz4", ["-c", level], input: Data(content))
                #expect(try decompress(Array(result.output), content.count) == content)
            }
        }
    }

    @Test("With one bit flipped a frame is refused, or the bit has no meaning: ours tells both")
    func everyBit() {
        let content = Array(String(repeating: "a row, ", count: 40).utf8)
        let stored = compress(content)
        let checksum = stored.withUnsafeBytes { StoredChecksum.of($0, salt: Sample.salt) }
        var meaningless = 0
        for place in stored.indices {
            for bit in 0..<8 {
                var bytes = stored
                bytes[place] ^= 1 << UInt8(bit)
                do {
                    #expect(try decompress(bytes, content.count) == content)
                    meaningless += 1
                } catch {
                    #expect(error as? FrameFault == .badContent, "byte \(place), bit \(bit)")
                }
                #expect(
                    bytes.withUnsafeBytes { StoredChecksum.of($0, salt: Sample.salt) } != checksum)
            }
        }
        // LZ4 ignores the match length of a block's last token: half a byte.
        #expect(meaningless == 4)
    }

    @Test("A frame cut anywhere, or with something behind it, is refused")
    func everyCut() {
        let content = Array(String(repeating: "a row, ", count: 40).utf8)
        let stored = compress(content)
        for count in stored.indices {
            #expect(throws: FrameFault.badContent) {
                try decompress(Array(stored.prefix(count)), content.count)
            }
        }
        for rest in [[0], stored] {
            #expect(throws: FrameFault.badContent) {
                try decompress(stored + rest, content.count)
            }
        }
        // A skippable frame and another magic are frames, but none with this content.
        #expect(throws: FrameFault.badContent) {
            try decompress([0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 1, 2, 3, 4], content.count)
        }
    }

    @Test("A frame with another content length than stated is refused, a bomb too")
    func lengths() {
        let content = [UInt8](repeating: 7, count: 1000)
        for count in [0, 1, 999, 1001, 1 << 20] {
            #expect(throws: FrameFault.badContent) { try decompress(compress(content), count) }
        }
        let bomb = compress([UInt8](repeating: 0, count: 64 << 20))
        #expect(bomb.count < 1 << 20)
        #expect(throws: FrameFault.badContent) { try decompress(bomb, 1 << 16) }
    }

    @Test("One decompressor goes on after a frame that it refused")
    func reuse() throws {
        let content = Array("whole".utf8)
        let stored = compress(content)
        var decompressor = LZ4Decompressor()
        for count in stored.indices {
            try stored.withUnsafeBytes { bytes in
                _ = try? decompressor.decompress(
                    UnsafeRawBufferPointer(rebasing: bytes.prefix(count)), contentByteCount: 5)
                let whole = try decompressor.decompress(bytes, contentByteCount: 5)
                #expect(whole.unsafeArray == content)
            }
        }
    }
}
