import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("The simulator") struct SimulatorRuns {
        /// `DAYBOOK_SIMULATOR_SEEDS` raises it.
        static let seedCount =
            ProcessInfo.processInfo.environment["DAYBOOK_SIMULATOR_SEEDS"].flatMap(Int.init)
            ?? 20_000

        /// The optimised program: without it 20,000 seeds would take too long.
        private var program: String {
            get throws {
                let path = "\(packageRoot)/.build/release/daybook-simulate"
                try #require(
                    FileManager.default.isExecutableFile(atPath: path),
                    "not built: swift build -c release --product daybook-simulate")
                return path
            }
        }

        private struct Result: Decodable {
            let seeds: Int
            let operations: Int
            let seconds: Double
            let missing: [String]
            let counts: [String: Int]
        }

        private func run(_ arguments: [String]) async throws -> ToolResult {
            let program = try program
            // On a thread of its own: the pool's few are for tests that wait.
            return try await withCheckedThrowingContinuation { continuation in
                Thread.detachNewThread {
                    continuation.resume(
                        with: Swift.Result { try runTool(program, arguments, timeoutSeconds: 900) })
                }
            }
        }

        @Test("20,000 random histories hold, and every fault and every path occurs in them")
        func seeds() async throws {
            let ended = try await run(["--seeds", "\(Self.seedCount)", "--jobs", "2", "--json"])
            #expect(ended.status == 0, "\(ended.errorText.suffix(20_000))")
            let result = try JSONDecoder().decode(Result.self, from: ended.output)
            #expect(result.seeds == Self.seedCount)
            #expect(result.operations >= 200 * result.seeds)
            for (name, count) in result.counts.sorted(by: { $0.key < $1.key }) {
                #expect(count > 0, "never happened: \(name)")
            }
            report("\(result.seeds) seeds, \(result.operations) operations, \(result.seconds) s")
        }

        @Test("One seed gives the same run twice, call by call")
        func sameAgain() async throws {
            let seed = Int.random(in: 0..<1_000_000)
            let arguments = ["--seed", "\(seed)", "--verbose"]
            let first = try await run(arguments)
            let second = try await run(arguments)
            #expect(first.status == 0, "seed \(seed): \(first.errorText)")
            #expect(first.output == second.output, "seed \(seed)")
            #expect(first.text.split(separator: "\n").count > 100)
        }
    }
}
