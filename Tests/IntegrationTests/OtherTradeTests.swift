import Foundation
import TestSupport
import Testing

/// A payment office's dictionary: nothing of it is known to the program.
enum OtherTrade {
    static let payments = #"""
        table: payments
        doc: Payments taken, one row each
        key: [merchant, reference]
        columns:
          - {name: merchant,  type: string, maxLength: 20, doc: "Who is paid"}
          - {name: reference, type: string, pattern: '[A-Z]{2}-[0-9]+', doc: "The merchant's own"}
          - {name: amount,    type: "decimal(12,2)", min: 0.01, doc: "In the currency's unit"}
          - {name: currency,  type: string, default: EUR, oneOf: [EUR, NOK, USD]}
          - {name: booked_on, type: date}
          - {name: settled,   type: boolean}
          - {name: note,      type: string, optional: true}
        """#

    static let readings = """
        table: readings
        doc: What sensors say; nothing tells two equal readings apart
        key: []
        columns:
          - {name: sensor,  type: string}
          - {name: at,      type: timestamp}
          - {name: value,   type: number}
          - {name: quality, type: integer, optional: true, min: 0, max: 100}
        """

    /// Makes a catalog folder with these tables, and with those of another catalog if one is given.
    static func catalog(beside other: String? = nil, in folder: TemporaryFolder) throws -> String {
        let files = FileManager.default
        let path = folder.path("catalog")
        try files.createDirectory(atPath: path, withIntermediateDirectories: true)
        if let other {
            try files.copyItem(atPath: "\(other)/projections", toPath: "\(path)/projections")
        }
        if files.fileExists(atPath: "\(packageRoot)/sql") {
            try files.copyItem(atPath: "\(packageRoot)/sql", toPath: "\(path)/sql")
        }
        try folder.write(payments, to: "catalog/projections/payments.yaml")
        try folder.write(readings, to: "catalog/projections/readings.yaml")
        return path
    }
}

extension Integration {
    @Suite("Another trade") struct AnotherTrade {
        @Test("Payments have their own key, types, default and optional column, end to end")
        func payments() async throws {
            let folder = try TemporaryFolder()
            try await withDaybook(catalog: OtherTrade.catalog(in: folder)) { daybook in
                let body = """
                    [{"merchant":"Fjord","reference":"AB-1","amount":12.50,"currency":"NOK",
                      "booked_on":"2024-02-29","settled":true,"note":"cash, \\"paid\\""},
                     {"merchant":"Fjord","reference":"AB-2","amount":9999999999.99,
                      "booked_on":"1969-12-31","settled":false},
                     {"merchant":"Quay","reference":"AB-1","amount":0.01,"booked_on":"2024-03-01",
                      "settled":false,"note":null},
                     {"merchant":"Fjord","reference":"AB-1","amount":1,"booked_on":"2024-03-01",
                      "settled":false},
                     {"merchant":"Fjord","reference":"ab-3","amount":1.234,"currency":"SEK",
                      "booked_on":"2023-02-29","settled":"yes"}]
                    """
                let answer = try await daybook.client.append(body, to: "payments")
                #expect(answer.status == 200, "\(answer.text)")
                let verdicts = try answer.verdicts()
                #expect(verdicts.accepted == 3)
                #expect(verdicts.codes(ofRow: 3) == ["duplicate_key"])
                let columns = verdicts.rejected.last?.reasons.map { $0.column ?? "" } ?? []
                #expect(
                    Set(columns) == ["reference", "amount", "currency", "booked_on", "settled"])

                try daybook.folder.write(
                    "Fjord,AB-9,100.00,USD,2024-05-01,true,\nQuay,AB-1,1.00,USD,2024-05-01,true,\n",
                    to: "payments.csv")
                let imported = try daybook.json(
                    ["import", "payments", daybook.folder.path("payments.csv")],
                    as: ImportSummary.self)
                #expect(imported.accepted == 1 && imported.rejected == 1)

                try await daybook.waitUntilProjected("payments")
                let rows = try daybook.sql(
                    """
                    SELECT merchant, reference, amount, currency, booked_on, settled, note
                    FROM payments ORDER BY ledger_position
                    """)
                #expect(
                    rows == """
                        Fjord,AB-1,12.50,NOK,2024-02-29,t,"cash, ""paid\"""
                        Fjord,AB-2,9999999999.99,EUR,1969-12-31,f,
                        Quay,AB-1,0.01,EUR,2024-03-01,f,
                        Fjord,AB-9,100.00,USD,2024-05-01,t,

                        """)
                #expect(
                    try columnsOf("payments", daybook) == """
                        merchant,text,NO
                        reference,text,NO
                        amount,"numeric(12,2)",NO
                        currency,text,NO
                        booked_on,date,NO
                        settled,boolean,NO
                        note,text,YES
                        ledger_position,bigint,NO

                        """)
                #expect(try keyOf("payments", daybook) == "merchant\nreference\n")
                try daybook.stop()
                let logged = try StockReaders.batches(of: daybook.segments).flatMap(\.accepted)
                #expect(
                    logged.map { $0["amount"] } == ["12.50", "9999999999.99", "0.01", "100.00"])
                #expect(logged.first?["booked_on"] == "2024-02-29")
            }
        }

        @Test("Readings are append-only: two equal ones are two rows")
        func readings() async throws {
            let folder = try TemporaryFolder()
            try await withDaybook(catalog: OtherTrade.catalog(in: folder)) { daybook in
                let reading =
                    #"{"sensor":"t1","at":"2024-01-01T01:00:00.123456+02:00","value":-1.5e-3}"#
                let rated = #"{"sensor":"t1","at":"2024-01-01T00:00:00Z","value":7,"quality":101}"#
                let answer = try await daybook.client.append(
                    "[\(reading),\(reading),\(rated)]", to: "readings")
                let verdicts = try answer.verdicts()
                #expect(verdicts.accepted == 2)
                #expect(verdicts.codes(ofRow: 2) == ["out_of_range"])
                let again = try await daybook.client.append(reading, to: "readings")
                #expect(try again.verdicts().accepted == 1)

                try await daybook.waitUntilProjected("readings")
                let rows = try daybook.sql(
                    "SELECT sensor, at AT TIME ZONE 'UTC', value, quality FROM readings")
                let line = "t1,2023-12-31 23:00:00.123456,-0.0015,\n"
                #expect(rows == line + line + line)
                #expect(
                    try columnsOf("readings", daybook) == """
                        sensor,text,NO
                        at,timestamp with time zone,NO
                        value,double precision,NO
                        quality,bigint,YES
                        ledger_position,bigint,NO

                        """)
            }
        }

        private func columnsOf(_ table: String, _ daybook: DaybookServer) throws -> String {
            try daybook.sql(
                """
                SELECT attname, format_type(atttypid, atttypmod),
                CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END FROM pg_attribute
                WHERE attrelid = 'public.\(table)'::regclass AND attnum > 0 AND NOT attisdropped
                ORDER BY attnum
                """)
        }

        private func keyOf(_ table: String, _ daybook: DaybookServer) throws -> String {
            try daybook.sql(
                """
                SELECT attname FROM pg_index
                CROSS JOIN unnest(indkey) WITH ORDINALITY AS part (number, place)
                JOIN pg_attribute ON attrelid = indrelid AND attnum = number
                WHERE indrelid = 'public.\(table)'::regclass AND indisprimary ORDER BY place
                """)
        }
    }
}
