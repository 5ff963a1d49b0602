import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Snapshot witness") struct SnapshotWitness {
        @Test("Fault 9: a log shorter than the snapshot of its keys halts until it is repaired")
        func ahead() async throws {
            try await withDaybook { daybook in
                try await append(1, daybook)
                try daybook.stop()
                let files = FileManager.default
                let log = URL(fileURLWithPath: try #require(try daybook.segments.first))
                    .deletingLastPathComponent().path
                try files.copyItem(atPath: log, toPath: log + ".older")
                try await daybook.start()
                try await append(2, daybook)
                try daybook.stop()
                try files.removeItem(atPath: log)
                try files.moveItem(atPath: log + ".older", toPath: log)

                let halted = try daybook.run(["serve", "--listen", "127.0.0.1:0"])
                #expect(halted.status == 3, "\(halted.errorText)")
                #expect(halted.errorText.contains("snapshot of the keys"), "\(halted.errorText)")
                let repaired = try daybook.json(
                    ["log", "repair", "--apply"], as: RepairCommand.Plan.self)
                #expect(repaired.lost_events > 0 && repaired.saved_events == 0)
                #expect(try daybook.run(["rebuild"]).status == 0)
                try await daybook.start()
                try await append(2, daybook)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.sql("SELECT count(*) FROM jobs") == "2\n")
            }
        }

        private func append(_ id: Int, _ daybook: DaybookServer) async throws {
            let answer = try await daybook.client.append(
                #"[{"id":\#(id),"job":"Job"}]"#, to: "jobs")
            #expect(answer.status == 200, "\(answer.text)")
        }
    }
}
