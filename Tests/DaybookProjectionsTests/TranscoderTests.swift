import Avro
import DaybookCatalog
import DaybookLog
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// What is transcoded, field by field, as COPY's binary format has it.
@Suite struct TranscoderTests {
    private static let table = """
        table: t
        key: [id]
        columns:
          - {name: id, type: integer}
          - {name: name, type: string, optional: true}
          - {name: amount, type: "decimal(10,2)", default: "1.50"}
          - {name: on, type: date, default: 1999-12-31}
          - {name: at, type: timestamp, default: "1969-12-31T23:59:59.999999Z"}
          - {name: tag, type: uuid, default: 00112233-4455-6677-8899-aabbccddeeff}
          - {name: ok, type: boolean, default: true}
          - {name: rate, type: number, default: -0.5}
          - {name: kind, type: string, default: "ä"}
        """

    private func transcoder(_ fields: String, table: String = table) throws -> RowTranscoder {
        let schema = try AvroSchema(
            json: #"{"type":"record","name":"t","fields":[\#(fields)]}"#)
        guard case .record(let record) = schema else { throw ProjectionFault.checkpointMoved }
        let catalog = try World.catalog([table])
        return try RowTranscoder(record, table: catalog.tables[0])
    }

    /// The fields of one COPY row, nil where null.
    private func fields(
        _ transcoder: RowTranscoder, position: Position = 7, _ write: (inout ByteSink) -> Void
    ) throws -> [[UInt8]?] {
        var row = ByteSink()
        write(&row)
        var copy = ByteSink()
        var cursor = ByteCursor(row.unsafeBytes)
        try transcoder.append(&cursor, position: position, to: &copy)
        #expect(cursor.isAtEnd)
        var rest = copy.unsafeBytes[...]
        func integer<T: FixedWidthInteger>(_ type: T.Type) -> T {
            let size = MemoryLayout<T>.size
            defer { rest = rest.dropFirst(size) }
            return rest.prefix(size).reduce(0) { $0 << 8 | T(truncatingIfNeeded: $1) }
        }
        var fields: [[UInt8]?] = []
        for _ in 0..<integer(Int16.self) {
            let count = Int(integer(Int32.self))
            fields.append(count < 0 ? nil : Array(rest.prefix(count)))
            rest = rest.dropFirst(max(count, 0))
        }
        #expect(rest.isEmpty)
        return fields
    }

    private let id = #"{"name":"id","type":"long"}"#
    private let name = #"{"name":"name","type":["null","string"]}"#

    @Test("A column that older events lack has its default, or is left out and so null")
    func oldSchema() throws {
        let old = try transcoder(id)
        #expect(
            old.columns == [
                "id", "amount", "on", "at", "tag", "ok", "rate", "kind", "ledger_position",
            ])
        let row = try fields(old) { $0.append(long: 258) }
        #expect(row[0] == [0, 0, 0, 0, 0, 0, 1, 2])
        // 1.50: two groups from weight 0, positive, scale 2: 1 and 5000.
        #expect(row[1] == [0, 2, 0, 0, 0, 0, 0, 2, 0, 1, 0x13, 0x88])
        #expect(row[2] == [0xFF, 0xFF, 0xFF, 0xFF])
        // One microsecond before 1970 lies 946,684,800,000,001 before 2000.
        #expect(row[3] == (-946_684_800_000_001 as Int64).bytes)
        #expect(row[4] == (0..<16).map { UInt8($0 * 0x11) })
        #expect(row[5] == [1])
        #expect(row[6] == (-0.5).bitPattern.bytes)
        #expect(row[7] == Array("ä".utf8))
        #expect(row[8] == [0, 0, 0, 0, 0, 0, 0, 7])
    }

    @Test("An optional column is null or has its value")
    func optional() throws {
        let old = try transcoder("\(id),\(name)")
        let null = try fields(old) {
            $0.append(long: 1)
            $0.append(long: 0)
        }
        #expect(null[1] == .some(nil))
        let value = try fields(old) {
            $0.append(long: 1)
            $0.append(long: 1)
            $0.append(string: "x")
        }
        #expect(value[1] == [UInt8(ascii: "x")])
    }

    @Test("A field of every type that the table no longer has is passed over")
    func skipped() throws {
        let gone = [
            #"{"name":"a","type":"long"}"#, #"{"name":"b","type":"double"}"#,
            #"{"name":"c","type":"boolean"}"#, #"{"name":"d","type":"string"}"#,
            #"{"name":"e","type":["null","string"]}"#, #"{"name":"f","type":["null","long"]}"#,
            #"{"name":"g","type":{"type":"int","logicalType":"date"}}"#,
        ].joined(separator: ",")
        let old = try transcoder(
            "\(gone),\(id)", table: "table: t\nkey: [id]\ncolumns: [{name: id, type: integer}]")
        let row = try fields(old) { sink in
            sink.append(long: Int64.min)
            sink.append(double: 2)
            sink.append(boolean: true)
            sink.append(string: "gone")
            sink.append(long: 0)
            sink.append(long: 1)
            sink.append(long: -5)
            sink.append(long: 10)
            sink.append(long: 3)
        }
        #expect(row.count == 2)
        #expect(row[0] == [0, 0, 0, 0, 0, 0, 0, 3])
    }

    @Test(
        "A column whose type has changed since the events were written is refused, not misread",
        arguments: [
            #"{"name":"id","type":{"type":"long","logicalType":"timestamp-micros"}}"#,
            #"{"name":"id","type":"string"}"#,
            #"{"name":"id","type":"long"},{"name":"tag","type":"string"}"#,
            #"{"name":"id","type":"long"},{"name":"kind","type":"bytes"}"#,
            #"{"name":"id","type":"long"},{"name":"amount","type":{"type":"bytes","#
                + #""logicalType":"decimal","precision":10,"scale":3}}"#,
        ])
    func changedType(_ schema: String) throws {
        #expect(throws: ProjectionFault.self) { try transcoder(schema) }
    }

    @Test("A required column without a default that older events lack is refused")
    func requiredColumn() throws {
        #expect(throws: ProjectionFault.self) { try transcoder(name) }
    }

    @Test("A value that is not as the schema says is refused")
    func badValues() throws {
        let tag = try transcoder(
            #"\#(id),{"name":"tag","type":{"type":"string","logicalType":"uuid"}}"#)
        for text in [
            "", "0011", "00112233-4455-6677-8899-aabbccddeefg", String(repeating: "-", count: 36),
        ] {
            #expect(throws: AvroDecodingError.self) {
                try fields(tag) {
                    $0.append(long: 1)
                    $0.append(string: text)
                }
            }
        }
        let amount = try transcoder(
            #"\#(id),{"name":"amount","type":{"type":"bytes","logicalType":"decimal","#
                + #""precision":10,"scale":2}}"#)
        for count in [0, 17] {
            #expect(throws: AvroDecodingError.self) {
                try fields(amount) {
                    $0.append(long: 1)
                    $0.append(bytes: [UInt8](repeating: 1, count: count))
                }
            }
        }
    }
}

extension FixedWidthInteger {
    /// Big-endian.
    fileprivate var bytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
