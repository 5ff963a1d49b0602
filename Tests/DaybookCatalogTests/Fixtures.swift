import DaybookCatalog
import TestSupport

/// The dictionary of another trade than the shipped one: text and composite keys, decimals, dates,
/// a default, an optional column, references of both kinds, and append-only readings.
enum Fixtures {
    static let accounts = """
        table: accounts
        doc: "Who pays, and who's paid"
        key: iban
        columns:
          - {name: iban, type: string, maxLength: 34, pattern: '[A-Z]{2}\\d{2}[A-Z0-9]{4,30}'}
          - {name: holder, type: string, doc: 'Name: "as written"'}
          - {name: opened, type: date, min: 1990-01-01}
          - {name: ref, type: uuid}
        unique: [[ref], [holder, opened]]
        """

    static let payments = """
        # A comment, and spaces, that say nothing
        table:    payments
        key: [batch, line]
        unknownFields: ignore
        rejectedRaw: digest
        columns:
          - {name: batch,   type: string, maxLength: 20, alias: [run, "batch no"]}
          - {name: line,    type: integer, min: 1}
          - {name: payer,   type: string, maxLength: 34, references: accounts}
          - name: payee
            type: string
            maxLength: 34
            optional: true
            references: {table: accounts, columns: [iban], onMissing: accept}
          - {name: amount,  type: "decimal(12,2)", min: 0.01, max: 9999999999.99}
          - {name: fee,     type: "decimal(12, 2)", default: -0.5}
          - {name: country, type: string, oneOf: [NO, 1.0, yes], default: NO}
          - {name: due,     type: date, default: 2024-02-29}
          - {name: booked,  type: date, optional: true, default: 2024-03-01}
          - {name: rate,    type: number, default: 1e-7}
          - {name: urgent,  type: boolean, default: false}
        check:
          - {left: booked, op: '>=', right: due}
          - {left: fee, op: <=, right: amount}
        """

    static let reversals = """
        table: reversals
        key: [batch, line]
        columns:
          - {name: batch, type: string, maxLength: 20}
          - {name: line, type: integer}
          - {name: reason, type: string, doc: "Two\\nlines, a tab\\t, é, \\u2028 and 😀"}
          - {name: at, type: timestamp, default: "2021-11-07T03:48:42.5+01:00"}
        references: {from: [batch, line], table: payments}
        """

    static let readings = """
        table: readings
        key: []
        columns:
          - {name: sensor, type: string}
          - {name: at, type: timestamp}
          - {name: celsius, type: number, min: -273.15, max: 1e4}
        """

    static let hourly = """
        aggregate: hourly
        from: readings
        groupBy: {sensor: sensor, slot: "bucket(at, 90m)", day: date(at)}
        measures: {readings: count, low: min(celsius), mean: avg(celsius)}
        where: {left: celsius, op: '>', right: -100}
        timeZone: Europe/Oslo
        """

    static let all = [
        ("accounts.yaml", accounts), ("payments.yaml", payments), ("reversals.yaml", reversals),
        ("readings.yaml", readings), ("hourly.yaml", hourly),
    ].map { (name: $0.0, text: $0.1) }

    static func otherTrade() throws -> Catalog { try CatalogLoader.load(files: all) }

    static func shipped() throws -> Catalog {
        try CatalogLoader.load(folder: "\(packageRoot)/projections")
    }
}
