import Foundation
import TestSupport
import Testing

/// `daybook import --json` for one file.
struct ImportSummary: Decodable {
    let file: String
    let table: String
    let rows: Int
    let accepted: Int
    let rejected: Int
    let blank: Int
    let first_position: Int?
    let last_position: Int?
    let already_imported: Bool
}

extension Integration {
    @Suite("HR import") struct HRImport {
        @Test("The HR history arrives whole, and again nothing", arguments: HRData.Origin.available)
        func history(origin: HRData.Origin) async throws {
            try await withDaybook { daybook in
                let data = try HRData(origin, in: daybook.folder)
                let departments = try importFile("departments", data, daybook)
                #expect(departments.accepted == 12 && departments.rejected == 0)
                let jobs = try importFile("jobs", data, daybook)
                #expect(jobs.accepted == 183 && jobs.rejected == 0)
                let hires = try importFile("hired_employees", data, daybook)
                #expect(hires.rows == 1_999 && hires.accepted == 1_929 && hires.rejected == 70)
                #expect(hires.blank == 0 && !hires.already_imported)
                let first = try #require(hires.first_position)
                #expect(hires.last_position == first + 1_998)

                try await daybook.waitUntilProjected("departments", "jobs", "hired_employees")
                try expectTables(of: daybook, toHold: data)
                let codes = Dictionary(grouping: data.refusedHires, by: \.code).mapValues(\.count)
                #expect(codes == ["missing_field": 16, "wrong_field_count": 54])

                let before = try daybook.status().durable_position
                for table in ["departments", "jobs", "hired_employees"] {
                    #expect(try importFile(table, data, daybook).already_imported)
                }
                #expect(try daybook.status().durable_position == before)
                try expectTables(of: daybook, toHold: data)
            }
        }

        @Test("An import goes on after the server was killed in its middle, to the same end")
        func serverKilled() async throws {
            try await withDaybook { daybook in
                let data = try HRData(hireCount: 150_000, in: daybook.folder)
                _ = try importFile("departments", data, daybook)
                _ = try importFile("jobs", data, daybook)
                let before = try daybook.status().durable_position
                let import_ = try BackgroundProcess(
                    daybookBinary, ["import", "hired_employees", data.file("hired_employees")],
                    environment: daybook.environment, folder: daybook.folder.path)
                try await wait("the import to begin") {
                    let answer = try await daybook.client.get("/v1/status")
                    let status = try JSONDecoder().decode(LedgerStatus.self, from: answer.body)
                    return status.durable_position > before
                }
                daybook.kill()
                #expect(import_.waitForExit(timeoutSeconds: 30) != 0, "the import saw no failure")

                try await daybook.start()
                try await finish(data, daybook)
            }
        }

        @Test("An import without a server, itself killed in its middle, goes on to the same end")
        func importKilled() async throws {
            try await withDaybook(start: false) { daybook in
                let data = try HRData(hireCount: 150_000, in: daybook.folder)
                _ = try importFile("departments", data, daybook)
                _ = try importFile("jobs", data, daybook)
                let before = try logByteCount(daybook)
                let import_ = try BackgroundProcess(
                    daybookBinary, ["import", "hired_employees", data.file("hired_employees")],
                    environment: daybook.environment, folder: daybook.folder.path)
                try await wait("the log to grow") { try logByteCount(daybook) > before + 100_000 }
                import_.signal(SIGKILL)
                #expect(import_.waitForExit(timeoutSeconds: 10) == 128 + SIGKILL)

                _ = try importFile("hired_employees", data, daybook)
                try await daybook.start()
                try await finish(data, daybook)
            }
        }

        /// Imports what is left and compares everything with the file.
        private func finish(_ data: HRData, _ daybook: DaybookServer) async throws {
            _ = try importFile("hired_employees", data, daybook)
            #expect(try importFile("hired_employees", data, daybook).already_imported)
            try await daybook.waitUntilProjected(
                "departments", "jobs", "hired_employees", timeoutSeconds: 120)
            try expectTables(of: daybook, toHold: data)
        }

        private func importFile(
            _ table: String, _ data: HRData, _ daybook: DaybookServer
        ) throws -> ImportSummary {
            let summary = try daybook.json(
                ["import", table, data.file(table)], as: ImportSummary.self)
            #expect(summary.table == table)
            #expect(summary.rows == summary.accepted + summary.rejected)
            return summary
        }

        private func logByteCount(_ daybook: DaybookServer) throws -> Int {
            try daybook.segments.reduce(0) { total, path in
                let attributes = try FileManager.default.attributesOfItem(atPath: path)
                return total + (attributes[.size] as? Int ?? 0)
            }
        }

        /// The tables equal the accepted lines field by field, in order; the rejections equal the
        /// refused lines byte by byte.
        private func expectTables(of daybook: DaybookServer, toHold data: HRData) throws {
            func lines(_ query: String) throws -> [String] {
                try daybook.sql(query).split(separator: "\n").map(String.init)
            }
            #expect(
                try lines("SELECT id, department FROM departments ORDER BY ledger_position")
                    == data.departments)
            #expect(try lines("SELECT id, job FROM jobs ORDER BY ledger_position") == data.jobs)
            let hires = try lines(
                """
                SELECT id, name, to_char(datetime AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                department_id, job_id FROM hired_employees ORDER BY ledger_position
                """)
            // Compared as a whole first: a difference of long arrays takes minutes to print.
            let areEqual = hires == data.acceptedHires
            #expect(areEqual, "\(zip(hires, data.acceptedHires).first { $0 != $1 } ?? ("", ""))")
            #expect(hires.count == data.acceptedHires.count)
            let refused = try lines(
                """
                SELECT line, reasons->0->>'code', coalesce(reasons->0->>'column', ''),
                jsonb_array_length(reasons), encode(raw, 'hex') FROM daybook.rejections
                WHERE table_name = 'hired_employees' ORDER BY position
                """)
            let expected = data.refusedHires.map { refused in
                let hex = refused.text.utf8.map { String(format: "%02x", $0) }.joined()
                return "\(refused.line),\(refused.code),\(refused.column),1,\(hex)"
            }
            #expect(refused.count == expected.count)
            #expect(zip(refused, expected).first { $0 != $1 } == nil)
        }
    }
}
