import Foundation
import TestSupport
import Testing

@testable import DaybookProjections

@Suite("Drift: hashes and digests") struct DriftHashTests {
    @Test("A row's hash is SipHash-1-3 of 128 bits, as OpenSSL has it, at every length")
    func hash() throws {
        let folder = try TemporaryFolder()
        var generator = SeededGenerator()
        let key = RowHashKey(low: generator.next(), high: generator.next())
        let keyText = [key.low, key.high].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }.hex
        for count in [0, 1, 7, 8, 9, 15, 16, 63, 64, 100] {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let path = folder.path("row-\(count)")
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let oracle = try runTool(
                try requireTool("openssl"),
                [
                    "mac", "-macopt", "hexkey:\(keyText)", "-macopt", "size:16", "-macopt",
                    "c-rounds:1", "-macopt", "d-rounds:3", "-in", path, "SIPHASH",
                ])
            try #require(oracle.status == 0, "\(oracle.errorText)")
            let hash = bytes.withUnsafeBytes { RowHash.hash($0, key: key) }
            let littleEndian = withUnsafeBytes(of: hash.littleEndian) { Array($0) }
            let text = oracle.text.trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(
                text.lowercased() == littleEndian.hex, "\(count) bytes, seed \(generator.seed)")
        }
    }

    @Test("A digest does not depend on the order, and does on every row and how often it is there")
    func digest() {
        func digest(_ hashes: [UInt128]) -> RowDigest {
            hashes.reduce(into: RowDigest()) { $0.add($1) }
        }
        let large = UInt128.max - 4
        #expect(digest([1, large, 9]) == digest([9, 1, large]))
        #expect(digest([1, large, 9]) != digest([1, large]))
        #expect(digest([7, 7]) != digest([7]))
        #expect(digest([7, 7]) != digest([14]))
        #expect(digest([large, 9]).description == "00000000000000000000000000000004")
    }
}

extension [UInt8] {
    fileprivate var hex: String {
        map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
