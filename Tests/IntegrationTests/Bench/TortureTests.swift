import Foundation
import TestSupport
import Testing

extension Integration {
    /// `daybook torture`, on the disk that the tests run on and on memory.
    @Suite("Torture") struct Torture {
        private struct Report: Decodable {
            let verdict: String
            let ok: Bool
            let sentence: String
            let file_system: FileSystem
            let appends: [Latency]
            let kills: Kills

            struct FileSystem: Decodable {
                let type: String
                let memory: Bool
            }

            struct Latency: Decodable {
                let bytes: Int
                let count: Int
                let p50_seconds: Double
                let max_seconds: Double
            }

            struct Kills: Decodable {
                let rounds: Int
                let acknowledged: Int
                let losses: [String]
            }
        }

        private func names(_ folder: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        }

        @Test("Beside a ledger it kills writers, loses nothing, says so and leaves nothing")
        func disk() throws {
            let folder = try TemporaryFolder()
            try Data("a ledger's".utf8).write(to: URL(fileURLWithPath: folder.path("HEAD")))
            let result = try runTool(
                daybookBinary,
                ["torture", "--data", folder.path, "--seconds", "8", "--json"],
                timeoutSeconds: 180)
            let found = try JSONDecoder().decode(Report.self, from: result.output)
            // Where a runner keeps its temporary files, and how fast, is not for this test to say.
            #expect(result.status == (found.ok ? 0 : 1), "\(result.text)\(result.errorText)")
            #expect(["fit", "memory", "dishonest"].contains(found.verdict), "\(result.text)")
            #expect(found.kills.rounds > 0 && found.kills.acknowledged > 0)
            #expect(found.kills.losses.isEmpty)
            #expect(found.appends.map(\.bytes) == [4096, 65536])
            #expect(found.appends.allSatisfy { $0.count > 0 && $0.max_seconds >= $0.p50_seconds })
            #expect(try names(folder.path) == ["HEAD"])
            report(
                "torture: \(found.verdict) on \(found.file_system.type), "
                    + "\(found.kills.rounds) kills, \(found.kills.acknowledged) blocks")
        }

        @Test("A file system in memory is called that, whatever else it does well")
        func memory() throws {
            let folder = "/dev/shm/daybook-torture-test-\(getpid())"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let result = try runTool(
                daybookBinary, ["torture", "--data", folder, "--seconds", "5"],
                timeoutSeconds: 180)
            #expect(result.status == 1)
            #expect(
                result.text.contains("NOT FIT: /dev/shm (tmpfs) is in memory"),
                "\(result.text)")
            #expect(result.text.contains("diskchecker.pl"))
            #expect(!FileManager.default.fileExists(atPath: folder), "it made the folder")
        }

        @Test(
            "SIGTERM and SIGINT in the middle leave nothing behind; kill -9 leaves it to the next")
        func stopped() throws {
            let folder = try TemporaryFolder()
            for signal in [SIGTERM, SIGINT, SIGKILL] {
                let process = try BackgroundProcess(
                    daybookBinary, ["torture", "--data", folder.path, "--seconds", "60"])
                let end = ContinuousClock.now + .seconds(30)
                while try names(folder.path).isEmpty, ContinuousClock.now < end { usleep(20_000) }
                usleep(300_000)
                #expect(try names(folder.path) == ["torture-\(process.pid)"])
                process.signal(signal)
                let status = process.waitForExit(timeoutSeconds: 60)
                #expect(status == (signal == SIGKILL ? 137 : 1), "\(process.errorText)")
                #expect(try names(folder.path).isEmpty == (signal != SIGKILL))
            }
            try FileManager.default.createDirectory(
                atPath: folder.path("torture-1"), withIntermediateDirectories: false)
            _ = try runTool(
                daybookBinary, ["torture", "--data", folder.path, "--seconds", "5"],
                timeoutSeconds: 180)
            #expect(
                try names(folder.path) == ["torture-1"], "what is no trial's is not taken away")
        }

        @Test("Wrong usage is exit 2")
        func usage() throws {
            let folder = try TemporaryFolder()
            let result = try runTool(
                daybookBinary, ["torture", "--data", folder.path, "--seconds", "1"])
            #expect(result.status == 2 && result.errorText.contains("--seconds"))
        }
    }
}
