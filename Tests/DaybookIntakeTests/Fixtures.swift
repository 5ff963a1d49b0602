import Avro
import DaybookCatalog
import Foundation
import TestSupport
import Testing

@testable import DaybookIntake

/// The dictionary of these tests: the HR hires, payments with every type and rule, and readings
/// that are only appended.
let files: [(name: String, text: String)] = [
    (
        "hires.yaml",
        """
        table: hires
        key: [id]
        columns:
          - {name: id, type: integer}
          - {name: name, type: string, maxLength: 20, pattern: '\\S+(\\s+\\S+)+'}
          - {name: at, type: timestamp, alias: hired_at}
          - {name: job, type: integer, references: jobs}
        """
    ),
    (
        "jobs.yaml",
        """
        table: jobs
        key: [id]
        columns:
          - {name: id, type: integer, min: 1, max: 999}
          - {name: job, type: string}
        """
    ),
    (
        "payments.yaml",
        """
        table: payments
        key: [bank, number]
        unique: [[reference]]
        columns:
          - {name: bank, type: string, maxLength: 11}
          - {name: number, type: integer}
          - {name: reference, type: uuid, optional: true}
          - {name: amount, type: "decimal(10,2)", min: "0.01", max: "1000000"}
          - {name: currency, type: string, oneOf: [EUR, USD, NO], default: EUR}
          - {name: booked, type: date, min: 2000-01-01}
          - {name: due, type: date, optional: true}
          - {name: rate, type: number, optional: true, max: 2.5}
          - {name: settled, type: boolean, default: false}
        check: {left: booked, op: "<=", right: due}
        """
    ),
    (
        "readings.yaml",
        """
        table: readings
        key: []
        unknownFields: ignore
        columns:
          - {name: sensor, type: string, optional: true}
          - {name: note, type: string, optional: true}
          - {name: place, type: string, optional: true}
        """
    ),
]

let testKey = FingerprintKey(bytes: Array(0..<16))

func testCatalog() throws -> Catalog { try CatalogLoader.load(files: files) }

/// A judge for one table of the dictionary.
func makeJudge(
    _ name: String, limits: IntakeLimits = IntakeLimits(), probe: RowProbe? = nil
) throws -> Judge {
    let catalog = try testCatalog()
    let table = try #require(catalog.table(named: name))
    return Judge(
        table: table, constraints: catalog.constraints, fingerprintKey: testKey, limits: limits,
        probe: probe)
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { byte in
        let text = String(byte, radix: 16)
        return text.count == 1 ? "0" + text : text
    }.joined()
}

extension JudgedBatch {
    /// The codes of one row's reasons, in order, and the column of each: `missing_field(job)`.
    func codes(_ row: Int) -> [String] {
        let first = Int(rows[row].reasonsStart)
        return reasons[first..<(first + Int(rows[row].reasonsCount))].map { reason in
            reason.column.map { "\(reason.code.name)(\($0))" } ?? reason.code.name
        }
    }

    func originalBytes(_ row: Int) -> [UInt8] {
        let start = Int(rows[row].originalStart)
        return original.array(in: start..<(start + Int(rows[row].originalCount)))
    }

    func originalText(_ row: Int) -> String { String(decoding: originalBytes(row), as: UTF8.self) }

    func encodedBytes(_ row: Int) -> [UInt8] {
        let start = Int(rows[row].encodedStart)
        return encoded.array(in: start..<(start + Int(rows[row].encodedCount)))
    }

    func slots(_ row: Int) -> ArraySlice<KeySlot> {
        let count = table.slots.count
        return ArraySlice(slots[(row * count)..<((row + 1) * count)])
    }

    /// All that is decided about the rows, for comparing two batches.
    var summary: [String] {
        rows.indices.map { row in
            "\(hexadecimal(originalBytes(row))) \(hexadecimal(encodedBytes(row))) "
                + "\(codes(row)) \(rows[row].lineSkip) \(slots(row))"
        }
    }
}

/// Runs a Python script over lines; its output's lines.
func python(_ script: String, _ lines: [String]) throws -> [String] {
    let result = try runTool(
        pythonPath, ["-c", script], input: Data(lines.joined(separator: "\n").utf8))
    try #require(result.status == 0, "\(result.errorText)")
    return result.text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        .map(String.init)
}
