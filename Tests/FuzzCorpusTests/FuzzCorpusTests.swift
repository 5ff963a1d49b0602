import Foundation
import FuzzTargets
import TestSupport
import Testing

/// Runs what fuzzers left behind again, without a fuzzer: quick, and in every run of the tests.
@Suite("Kept inputs of the fuzzers") struct FuzzCorpusTests {
    @Test("Every input of the corpus holds its invariants", arguments: FuzzTarget.allCases)
    func corpus(target: FuzzTarget) throws {
        let count = try run(target, folder: "corpus")
        #expect(count >= 10, "the corpus of \(target.rawValue) is not there")
    }

    @Test("No input that was once a finding is one again", arguments: FuzzTarget.allCases)
    func crashes(target: FuzzTarget) throws {
        _ = try run(target, folder: "crashes")
    }

    @Test("A corpus stays small", arguments: FuzzTarget.allCases)
    func size(target: FuzzTarget) throws {
        let files = try files(target, folder: "corpus")
        let counts = try files.map { try Data(contentsOf: URL(fileURLWithPath: $0)).count }
        #expect(counts.allSatisfy { $0 <= 64 << 10 })
        #expect(counts.reduce(0, +) <= 1 << 20)
    }

    private func files(_ target: FuzzTarget, folder: String) throws -> [String] {
        let path = "\(packageRoot)/Tests/Fuzz/\(folder)/\(target.rawValue)"
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
            .map { "\(path)/\($0)" }
    }

    /// Runs all files of a folder; how many there are.
    private func run(_ target: FuzzTarget, folder: String) throws -> Int {
        let files = try files(target, folder: folder)
        for path in files {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            do {
                try data.withUnsafeBytes { try target.run($0) }
            } catch {
                Issue.record("\(path): \(error)")
            }
        }
        return files.count
    }
}
