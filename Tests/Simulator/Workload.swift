import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog

/// What clients may send: a small trade, and some hundred batches of few keys, so that they meet.
///
/// Judged once: intake's verdicts depend on the row alone, and its keys on a key that is the same
/// in all runs.
struct Workload: Sendable {
    /// A row as the model sees it.
    struct Row: Sendable {
        /// Whether intake has no fault to find.
        var isCandidate = true
        /// The keys that it takes if it is accepted: a number for each rule and value.
        var takes: [Int] = []
        /// The keys that it refers to.
        var needs: [Int] = []
    }

    struct Batch: Sendable {
        let judged: JudgedBatch
        let rows: [Row]
        /// As it is sent without and with the option of all rows or none.
        let digests: [[UInt8]]
    }

    static let dictionary = """
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
          - {name: amount, type: number}
        """

    let catalog: Catalog
    let schema: LogSchema
    let fingerprintKey: FingerprintKey
    let batches: [Batch]

    init() throws {
        catalog = try CatalogLoader.load(text: Workload.dictionary)
        schema = try catalog.logSchema()
        fingerprintKey = FingerprintKey(bytes: [UInt8](repeating: 0x42, count: 16))
        var dice = Dice(seed: 1)
        var made: [Batch] = []
        for number in 0..<600 {
            made.append(try Workload.batch(number, catalog, fingerprintKey, &dice))
        }
        batches = made
    }

    private static func batch(
        _ number: Int, _ catalog: Catalog, _ key: FingerprintKey, _ dice: inout Dice
    ) throws -> Batch {
        let name = ["departments", "employees", "employees", "payments"][number % 4]
        var rows: [Row] = []
        var texts: [String] = []
        for _ in 0...dice.below(dice.once(in: 8) ? 12 : 4) {
            let (row, text) =
                switch name {
                case "departments": department(&dice)
                case "employees": employee(&dice)
                default: payment(&dice)
                }
            rows.append(row)
            texts.append(text)
        }
        let json = "[" + texts.joined(separator: ",") + "]"
        guard let table = catalog.table(named: name) else {
            preconditionFailure("the dictionary has its tables")
        }
        let judge = Judge(table: table, constraints: catalog.constraints, fingerprintKey: key)
        let judged = judge.judgeJSON(Bytes(Array(json.utf8), padding: 128))
        precondition(
            judged.rows.map(\.isCandidate) == rows.map(\.isCandidate),
            "the model knows what intake finds: \(json)")
        let digests = ["", "atomic "].map { option in
            Array("\(option)\(number) \(name) \(json)".utf8).withUnsafeBytes { Digest(of: $0).bytes }
        }
        return Batch(judged: judged, rows: rows, digests: digests)
    }

    private static func department(_ dice: inout Dice) -> (Row, String) {
        let id = dice.below(24)
        if dice.once(in: 12) {
            return (Row(isCandidate: false), #"{"id":"x","name":"d"}"#)
        }
        return (Row(takes: [id]), #"{"id":\#(id),"name":"d\#(id)"}"#)
    }

    private static func employee(_ dice: inout Dice) -> (Row, String) {
        let (id, email, department) = (dice.below(60), dice.below(60), dice.below(24))
        var row = Row(takes: [1000 + id, 2000 + email], needs: [department])
        var boss = ""
        if dice.once(in: 3) {
            let other = dice.once(in: 4) ? id : dice.below(60)
            row.needs.append(1000 + other)
            boss = #","boss_id":\#(other)"#
        }
        if dice.once(in: 12) {
            return (Row(isCandidate: false), #"{"id":\#(id),"email":7,"department_id":1}"#)
        }
        return (
            row, #"{"id":\#(id),"email":"e\#(email)@x","department_id":\#(department)\#(boss)}"#
        )
    }

    private static func payment(_ dice: inout Dice) -> (Row, String) {
        let (account, day) = (dice.below(9), dice.below(8))
        if dice.once(in: 12) {
            return (Row(isCandidate: false), #"{"account":"a","day":"never","amount":1}"#)
        }
        return (
            Row(takes: [3000 + account * 10 + day]),
            #"{"account":"a\#(account)","day":"2020-01-0\#(day + 1)","amount":\#(dice.below(99))}"#
        )
    }
}
