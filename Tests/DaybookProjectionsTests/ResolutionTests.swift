import Avro
import DaybookCatalog
import DaybookLog
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

@Suite("Old events under a new dictionary") struct ResolutionTests {
    private static let before = """
        table: t
        key: [id]
        columns:
          - {name: gone, type: string}
          - {name: id, type: integer}
          - {name: count, type: integer}
          - {name: amount, type: "decimal(6,2)"}
          - {name: tag, type: uuid}
          - {name: must, type: string}
          - {name: may, type: integer, optional: true}
        """
    private static let after = """
        table: t
        key: [id]
        columns:
          - {name: may, type: number, default: -7.5}
          - {name: must, type: string, optional: true}
          - {name: tag, type: string}
          - {name: amount, type: "decimal(12,4)"}
          - {name: count, type: number}
          - {name: id, type: integer}
          - {name: note, type: string, optional: true}
          - {name: kind, type: string, default: old}
        """

    private static func row(_ id: Int64, amount: [UInt8], may: Int64?) -> World.Row {
        .accepted { sink in
            sink.append(string: "gone \(id)")
            sink.append(long: id)
            sink.append(long: id * 1000)
            sink.append(bytes: amount)
            sink.append(string: "00112233-4455-6677-8899-aabbccddeeff")
            sink.append(string: "must \(id)")
            sink.append(long: may == nil ? 0 : 1)
            if let may { sink.append(long: may) }
        }
    }

    @Test("Widened, dropped, added, reordered and newly optional columns read as they should")
    func everything() async throws {
        let old = try await World([Self.before])
        try old.append([
            (
                "t",
                [
                    Self.row(1, amount: [0x30, 0x39], may: 5),
                    Self.row(2, amount: [0xFF], may: nil),
                ]
            )
        ])
        let world = try old.adopting([Self.after])
        await world.projectAll()
        // As Postgres itself writes the values.
        #expect(
            try world.psql("SELECT id, count, amount, tag, must, may, note, kind FROM t") == """
                1|1000|123.4500|00112233-4455-6677-8899-aabbccddeeff|must 1|5||old
                2|2000|-0.0100|00112233-4455-6677-8899-aabbccddeeff|must 2|-7.5||old
                """)
        #expect(try world.psql("SELECT count(*) FROM t WHERE note IS NULL") == "2")
        #expect(
            try world.psql("SELECT pg_typeof(count), pg_typeof(tag) FROM t LIMIT 1")
                == "double precision|text")
    }
}
