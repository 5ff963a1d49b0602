import Avro
import TestSupport
import Testing

@testable import DaybookCatalog

@Suite("Rows of an older dictionary")
struct ResolutionTests {
    /// The one column beside the key, before and after; and what the fault says, if it is one.
    struct Case: CustomTestStringConvertible, Sendable {
        let before: String?
        let after: String?
        let fault: String?

        init(_ before: String?, _ after: String?, _ fault: String? = nil) {
            self.before = before
            self.after = after
            self.fault = fault
        }

        var testDescription: String { "\(before ?? "no column") -> \(after ?? "no column")" }
    }

    private static let cases = [
        Case("type: integer", "type: number"),
        Case("type: uuid", "type: string"),
        Case("type: 'decimal(6,2)'", "type: 'decimal(9,2)'"),
        Case("type: 'decimal(6,2)'", "type: 'decimal(8,4)'"),
        Case("type: string", "type: string, optional: true"),
        Case("type: string, maxLength: 9", "type: string, maxLength: 3"),
        Case("type: string, optional: true", "type: string, default: x"),
        Case(nil, "type: date, optional: true"),
        Case(nil, "type: date, default: 2024-01-01"),
        Case("type: date", nil),
        Case("type: date, optional: true", nil),
        Case(
            "type: string", "type: integer",
            "t.c is integer, and string in events of the log; make it string again, and give what "
                + "changes a column of another name"),
        Case("type: number", "type: integer", "make it number again"),
        Case("type: integer", "type: 'decimal(20,0)'", "make it integer or number"),
        Case("type: timestamp", "type: date", "make it timestamp again"),
        Case("type: date", "type: timestamp", "make it date again"),
        Case("type: string", "type: uuid", "make it string again"),
        Case("type: timestamp", "type: integer", "make it timestamp again"),
        Case(
            "type: 'decimal(6,2)'", "type: 'decimal(5,2)'",
            "a decimal with 4 digits or more before the point and 2 or more after it"),
        Case("type: 'decimal(6,2)'", "type: 'decimal(6,1)'", "decimal(6,2) in events of the log"),
        Case("type: 'decimal(6,2)'", "type: 'decimal(6,4)'", "4 digits or more before the point"),
        Case(
            "type: string, optional: true", "type: string",
            "t.c is required string, and optional string in events of the log; leave it optional, "
                + "or give it a default, which then stands for their nulls"),
        Case(
            nil, "type: string",
            "t.c is required string, and events lack it; make it optional, or give it a default"),
    ]

    private func catalog(_ column: String?) throws -> Catalog {
        let line = column.map { "  - {name: c, \($0)}\n" } ?? ""
        return try CatalogLoader.load(
            text: "table: t\nkey: [id]\ncolumns:\n  - {name: id, type: integer}\n" + line)
    }

    private func record(of catalog: Catalog) throws -> AvroSchema.Record {
        let schema = try AvroSchema(json: catalog.tables[0].avroSchema)
        guard case .record(let record) = schema else {
            preconditionFailure("a table's schema is a record")
        }
        return record
    }

    @Test(
        "They are read where Avro's rules and sense allow it; else the fault names the column",
        arguments: cases)
    func resolution(_ example: Case) throws {
        let old = try record(of: catalog(example.before))
        let faults = try catalog(example.after).unreadable([old, old])
        if let expected = example.fault {
            #expect(faults.count == 1)
            #expect(faults.first?.description.contains(expected) == true, "\(faults)")
        } else {
            #expect(faults.isEmpty)
        }
    }

    /// Avro's own resolution, as this package's generic decoder has it, refuses what we refuse
    /// among plain types.
    @Test("Nothing resolves here that Avro itself would refuse", arguments: cases)
    func avro(_ example: Case) throws {
        guard example.fault == nil else { return }
        let writer = try AvroSchema(json: catalog(example.before).tables[0].avroSchema)
        let reader = try AvroSchema(json: catalog(example.after).tables[0].avroSchema)
        // A default that stands for nulls, and a decimal's scale, are beyond Avro's rules.
        if example.before?.contains("optional") == true, example.after != nil { return }
        if example.before?.contains("decimal") == true { return }
        _ = try ResolvingDecoder(writer: writer, reader: reader)
    }

    @Test("A table that the dictionary does not have is not in the way")
    func foreignTable() throws {
        let old = try record(of: catalog("type: string"))
        let other = try CatalogLoader.load(
            text: "table: u\nkey: [id]\ncolumns:\n  - {name: id, type: integer}\n")
        #expect(other.unreadable([old]).isEmpty)
    }
}
