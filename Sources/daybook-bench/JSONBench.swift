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

    private static let first = ["Harold", "Ty", "Lyman", "Lotti", "Gretna", "Marlow", "Joan", "Ulrick"]
    private static let last = ["Vogt", "Hofer", "Hadye", "Crowthe", "Lording", "Antecki", "Rillett"]

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
private let bodyCount = 64
private let rowsPerBody = 1_000

/// Calls `body` over all bodies for at least two seconds; rows a second.
private func rowsPerSecond(_ rowCount: Int, _ body: () -> Void) -> Double {
    body()
    let clock = ContinuousClock()
    let start = clock.now
    var rounds = 0
    while start.duration(to: clock.now) < .seconds(2) {
        body()
        rounds += 1
    }
    let elapsed = start.duration(to: clock.now)
    let seconds = Double(elapsed.components.seconds)
        + Double(elapsed.components.attoseconds) * 1e-18
    return Double(rounds * rowCount) / seconds
}

private func report(_ what: String, _ rows: Double, _ bytesPerRow: Double) {
    let million = (rows / 1e4).rounded() / 100
    let gigabytes = (rows * bytesPerRow / 1e7).rounded() / 100
    print("\(what): \(million) M rows/s, \(gigabytes) GB/s")
}

func makeHireJudge() throws -> Judge {
    let catalog = try CatalogLoader.load(folder: "projections")
    guard let table = catalog.table(named: "hired_employees") else {
        fatalError("run it in the package's folder, which has projections/hired_employees.yaml")
    }
    return Judge(
        table: table, constraints: catalog.constraints,
        fingerprintKey: FingerprintKey(bytes: Array(0..<16)))
}

/// JSON bodies of 1000 hires to verdicts on one core, beside simdjson's own document parse.
func measureJSON() throws {
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
    let rowCount = bodyCount * rowsPerBody
    let bytesPerRow = Double(bodies.reduce(0) { $0 + $1.count }) / Double(rowCount)
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
    guard sum > 0, accepted == rowCount else { fatalError("a generated row was refused") }
    report("simdjson document, all fields read", parse, bytesPerRow)
    report("JSON to verdicts", verdicts, bytesPerRow)
}

/// A CSV file of hires to verdicts on one core, beside a search for its line ends.
func measureCSV() throws {
    let judge = try makeHireJudge()
    var generator = HireGenerator()
    let rowCount = bodyCount * rowsPerBody
    var text: [UInt8] = []
    for id in 1...rowCount { text += Array("\(generator.hire(id).joined(separator: ","))\n".utf8) }
    let file = Bytes(text)
    let bytesPerRow = Double(file.count) / Double(rowCount)
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
    guard lines == rowCount, accepted == rowCount else { fatalError("a generated row was refused") }
    report("memchr over the lines", search, bytesPerRow)
    report("CSV to verdicts", verdicts, bytesPerRow)
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
