import Avro
import DaybookLog
import Testing

/// One of the four skippable frames, with its codec.
struct FrameCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let bytes: [UInt8]
    /// What reading gives back as bytes; whatever differs from `bytes` was not read right.
    let reencode: @Sendable (UnsafeRawBufferPointer, [UInt8]) throws -> [UInt8]
    /// Whether the salt is in the checksum.
    var isSalted = true

    func read(_ bytes: [UInt8], salt: [UInt8] = Sample.salt) throws -> [UInt8] {
        try bytes.withUnsafeBytes { try reencode($0, salt) }
    }

    static let segmentHeader = FrameCase(
        testDescription: "segment header", bytes: DaybookLogTests.bytes {
            Sample.segmentHeader().append(to: &$0)
        },
        reencode: { raw, _ in
            let header = try SegmentHeader.read(raw).header
            return DaybookLogTests.bytes { header.append(to: &$0) }
        }, isSalted: false)
    static let block = FrameCase(
        testDescription: "block header", bytes: DaybookLogTests.bytes {
            Sample.blockHeader.append(to: &$0, salt: Sample.salt)
        },
        reencode: { raw, salt in
            let header = try BlockHeader(reading: raw, salt: salt)
            return DaybookLogTests.bytes { header.append(to: &$0, salt: salt) }
        })
    static let attestation = FrameCase(
        testDescription: "attestation", bytes: DaybookLogTests.bytes {
            Sample.attestation.append(to: &$0, salt: Sample.salt)
        },
        reencode: { raw, salt in
            let attestation = try Attestation(reading: raw, salt: salt)
            return DaybookLogTests.bytes { attestation.append(to: &$0, salt: salt) }
        })
    static let footer = FrameCase(
        testDescription: "footer", bytes: DaybookLogTests.bytes {
            Sample.footer.append(to: &$0, salt: Sample.salt)
        },
        reencode: { raw, salt in
            let footer = try Footer.read(raw, salt: salt).footer
            return DaybookLogTests.bytes { footer.append(to: &$0, salt: salt) }
        })
    static let all = [segmentHeader, block, attestation, footer]
}

@Suite("Skippable frames") struct FrameTests {
    @Test("A frame is read back as it was written", arguments: FrameCase.all)
    func roundTrip(_ frame: FrameCase) throws {
        #expect(try frame.read(frame.bytes) == frame.bytes)
        #expect(try frame.read(frame.bytes + [1, 2, 3]) == frame.bytes, "others may follow it")
    }

    @Test("A frame with any one bit flipped is refused", arguments: FrameCase.all)
    func everyBit(_ frame: FrameCase) {
        for place in frame.bytes.indices {
            for bit in 0..<8 {
                var bytes = frame.bytes
                bytes[place] ^= 1 << UInt8(bit)
                #expect(throws: FrameFault.self, "byte \(place), bit \(bit)") {
                    // Behind a length that grew there is something to read.
                    try frame.read(bytes + [UInt8](repeating: 0, count: 300))
                }
            }
        }
    }

    @Test("A frame that ends too early anywhere is refused", arguments: FrameCase.all)
    func everyCut(_ frame: FrameCase) {
        for count in 0..<frame.bytes.count {
            #expect(throws: FrameFault.truncated, "\(count) bytes") {
                try frame.read(Array(frame.bytes.prefix(count)))
            }
        }
    }

    @Test("A frame of another segment is refused by its salt", arguments: FrameCase.all)
    func otherSalt(_ frame: FrameCase) throws {
        guard frame.isSalted else {
            #expect(try frame.read(frame.bytes, salt: []) == frame.bytes)
            return
        }
        #expect(throws: FrameFault.badHeaderChecksum) {
            try frame.read(frame.bytes, salt: Sample.salt.reversed())
        }
        #expect(throws: FrameFault.badHeaderChecksum) { try frame.read(frame.bytes, salt: []) }
    }

    @Test("No kind of frame passes for another", arguments: FrameCase.all)
    func otherKind(_ frame: FrameCase) {
        for other in FrameCase.all where other.testDescription != frame.testDescription {
            #expect(throws: FrameFault.self) {
                try frame.read(other.bytes + [UInt8](repeating: 0, count: 300))
            }
        }
    }

    @Test("The lengths and places are those of FORMAT.md")
    func layout() {
        #expect(FrameCase.segmentHeader.bytes.count == 200 + 32 * 3)
        #expect(FrameCase.block.bytes.count == 188 && BlockHeader.frameByteCount == 188)
        #expect(FrameCase.attestation.bytes.count == 104 && Attestation.frameByteCount == 104)
        let ledger = Sample.ledger.description
        for frame in FrameCase.all {
            let text = frame.bytes[20..<36].map { String(Int($0) + 256, radix: 16).dropFirst() }
            #expect(text.joined() == ledger)
        }
        func word(_ frame: FrameCase, _ offset: Int) -> UInt64 {
            frame.bytes[offset..<(offset + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        #expect(Array(FrameCase.segmentHeader.bytes[68..<84]).count == 16)
        #expect(word(.segmentHeader, 44) == 1_234_567 && word(.segmentHeader, 156) == 7)
        #expect(word(.block, 60) == 1_900 && word(.block, 108) == 10)
        #expect(Array(FrameCase.block.bytes[180..<184]) == [0xEF, 0xBE, 0xAD, 0xDE])
        #expect(word(.attestation, 52) == 1_234_597)
        let end = FrameCase.footer.bytes.count
        #expect(word(.footer, 44) == 2_504 && word(.footer, end - Footer.trailerByteCount) == 2_504)
    }
}
