import Foundation
import TestSupport
import Testing

extension Integration {
    /// The fuzzers, for a short while, from the corpora in the tree. `script/fuzz` runs them for
    /// longer.
    @Suite("Fuzzers") struct Fuzzers {
        /// Far below what a busy machine does: an idle fuzzer shows, a slow one does not fail.
        private static let executionCountMin = 200

        private var binary: String {
            get throws {
                let path = "\(packageRoot)/.build-fuzz/release/daybook-fuzz"
                guard FileManager.default.isExecutableFile(atPath: path) else {
                    throw DaybookFailure(
                        description: "there is no fuzzer; this makes it: script/fuzz --build")
                }
                return path
            }
        }

        @Test(
            "Fuzzers run from their corpora without a finding, and are not idle",
            arguments: [["block", "json"], ["csv", "avro"], ["dictionary", "frame"]])
        func clean(targets: [String]) throws {
            let seconds = 21
            let started = try targets.map { (name: $0, run: try start($0, seconds: seconds)) }
            for (name, run) in started {
                let status = run.process.waitForExit(timeoutSeconds: Double(seconds) + 150)
                let text = run.process.errorText
                #expect(status == 0, "\(name): \(text.suffix(4000))")
                let executions = count("stat::number_of_executed_units:", in: text)
                #expect(
                    executions ?? 0 >= Fuzzers.executionCountMin,
                    "\(name) was idle: \(text.suffix(2000))")
                report("fuzz \(name): \(executions ?? 0) executions in \(seconds) s")
            }
        }

        private func start(
            _ target: String, seconds: Int
        ) throws -> (process: BackgroundProcess, folder: TemporaryFolder) {
            let folder = try TemporaryFolder()
            let new = folder.path("new")
            try FileManager.default.createDirectory(
                atPath: new, withIntermediateDirectories: false)
            let process = try BackgroundProcess(
                try binary,
                [
                    new, "\(packageRoot)/Tests/Fuzz/corpus/\(target)", "-max_len=65536",
                    "-entropic_scale_per_exec_time=1", "-timeout=60", "-rss_limit_mb=2048",
                    "-malloc_limit_mb=512",
                    "-max_total_time=\(seconds)", "-print_final_stats=1",
                    "-dict=\(packageRoot)/Tests/Fuzz/words/\(target)",
                    "-artifact_prefix=\(folder.path)/",
                ],
                environment: [
                    "DAYBOOK_FUZZ": target, "SWIFT_BACKTRACE": "enable=no",
                    "ASAN_OPTIONS": "detect_leaks=0",
                ])
            return (process, folder)
        }

        private func count(_ name: String, in text: String) -> Int? {
            guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix(name) }) else {
                return nil
            }
            return Int(line.dropFirst(name.count).trimmingCharacters(in: .whitespaces))
        }
    }
}
