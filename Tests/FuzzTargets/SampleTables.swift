import Avro
import DaybookCatalog
import DaybookIntake

/// The dictionary of the intake targets: every type and every rule, in five tables.
struct SampleTables: Sendable {
    private let catalog: Catalog
    private let judges: [Judge]

    static let shared = SampleTables()

    static let files: [(name: String, text: String)] = [
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
              - {name: at, type: timestamp, optional: true}
              - {name: total, type: "decimal(38,19)", optional: true}
              - {name: place, type: string, optional: true}
            """
        ),
        (
            "secrets.yaml",
            """
            table: secrets
            key: [name, on]
            rejectedRaw: digest
            columns:
              - {name: name, type: string, pattern: '[a-z]+'}
              - {name: on, type: date}
              - {name: worth, type: number}
            """
        ),
    ]

    private init() {
        do {
            catalog = try CatalogLoader.load(files: Self.files)
        } catch {
            preconditionFailure("the sample's dictionary is sound: \(error)")
        }
        // Few rows and bytes, so that small inputs reach the limits.
        let limits = IntakeLimits(rowCount: 8, rowByteCount: 300, batchByteCount: 900)
        let constraints = catalog.constraints
        judges = catalog.tables.map { table in
            Judge(
                table: table, constraints: constraints,
                fingerprintKey: FingerprintKey(bytes: [UInt8](0..<16)), limits: limits)
        }
    }

    /// The judge of one of the tables.
    func judge(_ choice: UInt8) -> Judge { judges[Int(choice) % judges.count] }
}
