import Foundation
import Synchronization
import TestSupport
import Testing

/// Where the Postgres of a ledger under test is.
enum PostgresKind: String, CaseIterable, Sendable {
    case embedded, url
}

/// `daybook backup create --json`.
struct MadeBackup: Decodable {
    let backup: String
    let target: String
    let position: Int
    let root: String
    let held_against_log: Bool
    let time: String
    let rows: Int
    let bytes: Int
    let tables: [Table]
    let log_position: Int?
    let seconds: Double

    struct Table: Decodable {
        let table: String
        let file: String
        let rows: Int
        let bytes: Int
    }

    /// Its folder.
    var folder: String { "\(target)/\(backup)" }
}

/// `daybook restore --json`.
struct Restored: Decodable {
    let position: Int
    let time: String?
    let held: Bool
    let into: String?
    let projections: [Projection]
    let dangling: [Dangling]

    struct Projection: Decodable {
        let projection: String
        let position: Int
        let rows: Int
        let swapped: Bool
        let added: Int?
        let removed: Int?
        let changed: Int?
        let notes: [String]
    }

    struct Dangling: Decodable {
        let table: String
        let references: String
        let rows: Int
        let keys: [String]
    }

    subscript(_ name: String) -> Projection? { projections.first { $0.projection == name } }
}

/// What several suites do with a ledger that holds the HR history.
extension DaybookServer {
    static let tables = ["departments", "jobs", "hired_employees"]
    static let projections = tables + ["hires_by_quarter"]

    /// Imports the HR history, and waits until it is in Postgres if a server runs.
    func importHistory() async throws {
        let data = try HRData(.made, in: folder)
        for table in Self.tables {
            _ = try json(["import", table, data.file(table)], as: ImportSummary.self)
        }
        if process != nil { try await waitUntilProjected("hired_employees", "hires_by_quarter") }
    }

    /// Appends jobs of these ids, and waits until they are in Postgres.
    func appendJobs(_ ids: ClosedRange<Int>) async throws {
        let rows = ids.map { #"{"id": \#($0), "job": "Job \#($0)"}"# }.joined(separator: ",")
        let answer = try await client.append("[\(rows)]", to: "jobs")
        #expect(answer.status == 200, "\(answer.text)")
        try await waitUntilProjected("jobs")
    }

    /// Every row of every table and aggregate as text, as psql has it. A new ledger gives new
    /// positions, so they can be left out.
    func rows(positions: Bool = true) throws -> [String: String] {
        var rows: [String: String] = [:]
        for name in Self.projections {
            let fields = positions ? "to_jsonb(t)" : "to_jsonb(t) - 'ledger_position'"
            rows[name] = try sql("SELECT \(fields) FROM \(name) AS t ORDER BY 1")
        }
        return rows
    }

    /// Asserts that every table is what the log says.
    func expectTablesSound(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let result = try run(["verify", "tables", "--json"])
        #expect(
            result.status == 0, "\(result.text)\(result.errorText)",
            sourceLocation: sourceLocation)
    }

    /// Makes a backup into the folder `vault`.
    func backUp(_ options: String..., to folder: String = "vault") throws -> MadeBackup {
        try json(
            ["backup", "create", "--out", self.folder.path(folder)] + options, as: MadeBackup.self)
    }

    /// Takes files or folders of the data away, as a lost disk does.
    func lose(_ names: String...) throws {
        for name in names { try FileManager.default.removeItem(atPath: "\(data)/\(name)") }
    }
}

/// A time as a person types it, with an offset that is not zero.
func timeNow() -> String {
    let formatter = ISO8601DateFormatter()
    formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
    formatter.timeZone = TimeZone(secondsFromGMT: 5_400)
    return formatter.string(from: .now)
}

/// Something that is said once, from one task to another.
private final class Flag: Sendable {
    private let state = Mutex(false)
    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}

/// Appends jobs one after the other while `body` runs; every one must be taken.
func whileAppending(
    _ daybook: DaybookServer, _ body: @escaping () throws -> Void
) async throws {
    // Not cancelled: that would break off the request under way.
    let isDone = Flag()
    let appending = Task { [client = daybook.client] in
        var count = 0
        repeat {
            count += 1
            let row = #"{"id": \#(500_000 + count), "job": "Meanwhile"}"#
            let answer = try await client.append(row, to: "jobs")
            #expect(answer.status == 200, "\(answer.text)")
            try? await Task.sleep(for: .milliseconds(20))
        } while !isDone.isSet
        return count
    }
    defer { isDone.set() }
    // On a thread of its own: it blocks, and the appending needs one of the few of all tasks.
    nonisolated(unsafe) let work = body
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try work() }) }
    }
    isDone.set()
    _ = try await appending.value
    try await daybook.waitUntilProjected("jobs")
}
