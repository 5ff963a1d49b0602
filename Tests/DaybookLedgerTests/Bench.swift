import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import Foundation
import Synchronization

@testable import DaybookLedger

/// A ledger over a log in memory, with a dictionary, clocks to turn, and a folder for its state.
final class Bench: Sendable {
    struct Clocks {
        var wall: Microseconds = 1_700_000_000_000_000
        var boot: Microseconds = 50_000_000
        /// How far both go on at every reading.
        var tick: Microseconds = 7
    }

    static let trade = """
        table: departments
        key: [id]
        columns:
          - {name: id, type: integer}
          - {name: name, type: string}
        ---
        table: employees
        key: [id]
        unique: [[email]]
        columns:
          - {name: id, type: integer}
          - {name: email, type: string}
          - {name: department_id, type: integer, references: departments}
          - {name: boss_id, type: integer, optional: true, references: employees}
        ---
        table: payments
        key: [account, day]
        columns:
          - {name: account, type: string}
          - {name: day, type: date}
          - {name: currency, type: string, references: {table: currencies, columns: [code]}}
          - {name: note, type: string, optional: true}
        ---
        table: currencies
        key: [code]
        columns:
          - {name: code, type: string}
        ---
        table: readings
        key: []
        columns:
          - name: sensor
            type: integer
            references: {table: departments, columns: [id], onMissing: accept}
          - {name: value, type: number}
        """

    let catalog: Catalog
    let log: MemoryLog
    let folder: String
    let clocks = Mutex(Clocks())
    let fatal = Mutex<LogError?>(nil)
    private let current = Mutex<Ledger?>(nil)

    init(
        _ text: String = Bench.trade, log: MemoryLog? = nil, folder: String? = nil,
        _ change: (inout LedgerOptions) -> Void = { _ in }
    ) throws {
        catalog = try CatalogLoader.load(text: text)
        let schema = try catalog.logSchema()
        self.log = log ?? MemoryLog(schema: schema)
        self.folder =
            folder
            ?? FileManager.default.temporaryDirectory
            .appendingPathComponent("ledger-\(UUID().uuidString)").path
        try open(change)
    }

    deinit {
        current.withLock { $0?.close() }
        try? FileManager.default.removeItem(atPath: folder)
    }

    var ledger: Ledger {
        guard let ledger = current.withLock({ $0 }) else { preconditionFailure("it is open") }
        return ledger
    }

    /// Opens the ledger; if it is open, it is closed first.
    func open(_ change: (inout LedgerOptions) -> Void = { _ in }) throws {
        current.withLock { $0?.close() }
        var options = LedgerOptions(
            wallClock: { [unowned self] in
                clocks.withLock {
                    $0.wall += $0.tick
                    return $0.wall
                }
            },
            bootClock: { [unowned self] in
                clocks.withLock {
                    $0.boot += $0.tick
                    return $0.boot
                }
            },
            onFatal: { [unowned self] error in fatal.withLock { $0 = error } })
        change(&options)
        let ledger = try Ledger.open(
            engine: log, catalog: catalog, stateFolder: folder, options: options)
        current.withLock { $0 = ledger }
    }

    func close() {
        current.withLock {
            $0?.close()
            $0 = nil
        }
    }

    /// Rows as JSON, judged by intake.
    func judged(_ table: String, _ json: String) throws -> JudgedBatch {
        guard let table = catalog.table(named: table) else { throw Missing(what: table) }
        return Judge(
            table: table, constraints: catalog.constraints, fingerprintKey: ledger.fingerprintKey
        ).judgeJSON(Bytes(Array(json.utf8), padding: 128))
    }

    struct Missing: Error { let what: String }

    func submission(
        _ table: String, _ json: String, key: String? = nil, principal: String = "ann",
        isAtomic: Bool = false, source: String = "http", corrects: [RowCorrection] = []
    ) throws -> Submission {
        let body = Array((table + json).utf8)
        return Submission(
            batch: try judged(table, json), source: source, principal: principal,
            idempotencyKey: key, requestDigest: body.withUnsafeBytes { Digest(of: $0).bytes },
            isAtomic: isAtomic, dictionary: catalog.version, corrects: corrects)
    }

    @discardableResult
    func append(
        _ table: String, _ json: String, key: String? = nil, principal: String = "ann",
        isAtomic: Bool = false, corrects: [RowCorrection] = []
    ) async throws -> Receipt {
        try await ledger.append(
            try submission(
                table, json, key: key, principal: principal, isAtomic: isAtomic,
                corrects: corrects))
    }
}

extension Receipt {
    /// Rejected rows in brief: `1 duplicate_key(id)`.
    var brief: [String] {
        rejected.map { row in
            "\(row.index) "
                + row.rejection.reasons.map { "\($0.code)(\($0.column ?? ""))" }
                .joined(separator: " ")
        }
    }
}
