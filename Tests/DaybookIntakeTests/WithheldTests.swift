import Avro
import DaybookCatalog
import Foundation
import TestSupport
import Testing

@testable import DaybookIntake

@Suite("Reasons of tables whose rejected bytes are not kept")
struct WithheldTests {
    /// The judge of a table, and of the same table with `rejectedRaw: digest`.
    private func judges(_ name: String) throws -> (full: Judge, digest: Judge) {
        func judge(_ suffix: String) throws -> Judge {
            let catalog = try CatalogLoader.load(
                files: files.map { ($0.name, "\($0.text)\n\(suffix)") })
            let table = try #require(catalog.table(named: name))
            return Judge(
                table: table, constraints: catalog.constraints, fingerprintKey: testKey)
        }
        return (try judge("rejectedRaw: full"), try judge("rejectedRaw: digest"))
    }

    @Test("The same rows are refused for the same codes, and no message has a word of a row")
    func messages() throws {
        var quoted = 0
        // What messages say by themselves: names and rules, and how values of a type look.
        let types: [ColumnType] = [.integer, .number, .boolean, .date, .timestamp, .uuid]
        let own = (files.map(\.text) + types.map(ReasonText.expectation) + ["null"]).joined()
        var known: [String: (full: Judge, digest: Judge)] = [:]
        for example in JSONCaseTests.rows {
            let (full, digest) = try known[example.table] ?? judges(example.table)
            known[example.table] = (full, digest)
            let body = Bytes(Array("[\(example.row)]".utf8), padding: 128)
            let (open, closed) = (full.judgeJSON(body), digest.judgeJSON(body))
            #expect(open.reasons.map(\.code) == closed.reasons.map(\.code), "\(example.row)")
            #expect(open.rows.map(\.isCandidate) == closed.rows.map(\.isCandidate))
            let words = example.row.split { !$0.isLetter && !$0.isNumber }
                .filter { $0.count > 3 && !own.contains($0) }
            for word in words {
                let isQuoted = open.reasons.contains {
                    $0.message.contains(word) || $0.column?.contains(word) ?? false
                }
                if isQuoted { quoted += 1 }
                for reason in closed.reasons {
                    #expect(
                        !reason.message.contains(word) && !(reason.column ?? "").contains(word),
                        "\(example.row): \(reason)")
                }
            }
        }
        #expect(quoted > 5, "the cases have values that are quoted otherwise")
    }

    @Test("Every code has words of its own, within the limits")
    func everyCode() throws {
        let table = try judges("payments").digest.table
        let own: [RejectionCode] = [
            .malformedBatch, .malformedRow, .wrongFieldCount, .duplicateField, .missingField,
            .checkFailed, .duplicateKey, .unknownReference, .atomicBatch,
        ]
        for code in RejectionCode.allCases {
            for column in ["amount", "hunter2", nil] {
                let reason = ReasonText.withoutValues(code, column: column, of: table, "M")
                #expect((reason.message == "M") == own.contains(code))
                #expect(reason.column == (column == "amount" ? "amount" : nil))
                #expect(!reason.message.isEmpty && reason.message.utf8.count <= 256)
            }
        }
    }

    @Test("Of a body that is no batch all bytes are there for a digest; kept are the first")
    func malformed() throws {
        let (full, digest) = try judges("hires")
        let body = Bytes([UInt8](repeating: UInt8(ascii: "["), count: 100_000), padding: 128)
        #expect(full.judgeJSON(body).raw(ofRow: 0).count == 64 << 10)
        let batch = digest.judgeJSON(body)
        #expect(batch.raw(ofRow: 0).count == 100_000 && batch.malformedByteCount == 100_000)
    }
}
