import Avro
import CSimdjson
import DaybookCatalog
import DaybookIntake
import Glibc

/// Made-up hires, the same ones in every run.
struct HireGenerator {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    private mutating func below(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(bound))
    }

    private static let first = [
        "Harold", "Ty", "Lyman", "Lotti", "Gretna", "Marlow", "Joan", "Ulrick",
    ]
    private static let last = [
        "Vogt", "Hofer", "Hadye", "Crowthe", "Lording", "Antecki", "Rillett",
    ]

    private func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

    /// The five values of a hire as text.
    mutating func hire(_ id: Int) -> [String] {
        let day = "2021-\(twoDigits(below(12) + 1))-\(twoDigits(below(28) + 1))"
        let time = [below(24), below(60), below(60)].map(twoDigits).joined(separator: ":")
        return [
            "\(id)", "\(Self.first[below(8)]) \(Self.last[below(7)])", "\(day)T\(time)Z",
            "\(below(12) + 1)", "\(below(183) + 1)",
        ]
    }
}

/// Bodies that do not fit a core's own cache together, so that memory is part of what is measured.
let bodyCount = 64
let rowsPerBody = 1_000

/// Seconds of a processor that this thread has used: other work on the machine does not count.
func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Calls `body`, which takes all bodies, until so many rows were taken; rows a second of one core.
func rowsPerSecond(_ rowCount: Int, _ body: () -> Void) -> Double {
    let rowsPerRound = bodyCount * rowsPerBody
    let rounds = (rowCount + rowsPerRound - 1) / rowsPerRound
    body()
    let start = threadSeconds()
    for _ in 0..<rounds { body() }
    return Double(rounds * rowsPerRound) / (threadSeconds() - start)
}

func makeHireJudge() throws -> Judge {
    let catalog = try CatalogLoader.load(folder: "projections")
    guard let table = catalog.table(named: "hired_employees") else {
        preconditionFailure(
            "run it in the package's folder, which has projections/hired_employees.yaml")
    }
    return Judge(
        table: table, constraints: catalog.constraints,
        fingerprintKey: FingerprintKey(bytes: Array(0..<16)))
}

/// JSON bodies of 1000 hires to verdicts on one core, beside simdjson's own document parse.
func measureJSON(rowCount: Int) throws {
    let judge = try makeHireJudge()
    var generator = HireGenerator()
    var id = 0
    let bodies = (0..<bodyCount).map { _ in
        let rows = (0..<rowsPerBody).map { _ in
            id += 1
            let hire = generator.hire(id)
            return "{\"id\":\(hire[0]),\"name\":\"\(hire[1])\",\"datetime\":\"\(hire[2])\","
                + "\"department_id\":\(hire[3]),\"job_id\":\(hire[4])}"
        }
        return Bytes(Array("[\(rows.joined(separator: ","))]".utf8), padding: 64)
    }
    var sum: UInt64 = 0
    let parse = rowsPerSecond(rowCount) {
        for body in bodies {
            body.withUnsafeBytes {
                sum &+= djs_measure_document(
                    $0.bindMemory(to: UInt8.self).baseAddress, $0.count)
            }
        }
    }
    var accepted = 0
    let verdicts = rowsPerSecond(rowCount) {
        accepted = 0
        for body in bodies { accepted += judge.judgeJSON(body).rows.count { $0.isCandidate } }
    }
    guard sum > 0, accepted == bodyCount * rowsPerBody else {
        preconditionFailure("a generated row was refused")
    }
    Report.row(
        "JSON to verdicts, one core", figure: Report.rate(verdicts, "rows"),
        limit: "simdjson's document parse, all fields read: \(Report.rate(parse, "rows"))",
        ratio: verdicts / parse, command: "daybook-bench json --rows \(rowCount)")
}

/// A CSV file of hires to verdicts on one core, beside a search for its line ends.
func measureCSV(rowCount: Int) throws {
    let judge = try makeHireJudge()
    var generator = HireGenerator()
    var text: [UInt8] = []
    for id in 1...(bodyCount * rowsPerBody) {
        text += Array("\(generator.hire(id).joined(separator: ","))\n".utf8)
    }
    let file = Bytes(text)
    var lines = 0
    let search = rowsPerSecond(rowCount) {
        lines = 0
        file.withUnsafeBytes { bytes in
            guard var next = bytes.baseAddress else { return }
            let end = next + bytes.count
            while let feed = memchr(next, 0x0A, end - next) {
                lines += 1
                next = UnsafeRawPointer(feed) + 1
            }
        }
    }
    var accepted = 0
    let verdicts = rowsPerSecond(rowCount) {
        accepted = file.withUnsafeBytes { count($0, judge) }
    }
    guard lines == accepted, accepted == bodyCount * rowsPerBody else {
        preconditionFailure("a generated row was refused")
    }
    Report.row(
        "CSV to verdicts, one core", figure: Report.rate(verdicts, "rows"),
        limit: "memchr over the lines: \(Report.rate(search, "rows"))",
        ratio: verdicts / search, command: "daybook-bench csv --rows \(rowCount)")
}

/// How many rows of a CSV file are accepted, a thousand at a time.
private func count(_ bytes: UnsafeRawBufferPointer, _ judge: Judge) -> Int {
    guard var decoder = try? CSVDecoder(judge: judge) else { return 0 }
    var place = 0
    var accepted = 0
    while place < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[place...])
        guard let step = try? decoder.next(rest, isLast: true, rowLimit: rowsPerBody) else { break }
        place += step.consumedByteCount
        accepted += step.batch?.rows.count { $0.isCandidate } ?? 0
    }
    return accepted
}
