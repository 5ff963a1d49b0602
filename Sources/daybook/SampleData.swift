import Avro
import DaybookCatalog
import Foundation

/// Makes the sample: the shape and the dirt of a real human-resources export, without a header.
///
/// A hire has five columns; a dirty one lacks a column, so that every later value stands one to the
/// left, or has an empty job. The same arguments make the same bytes on every machine.
struct SampleData {
    let rowCount: Int
    let seed: UInt64
    let dirt: Double

    static let departments = [
        "Accounting", "Customer Care", "Engineering", "Field Service", "Human Resources", "Legal",
        "Logistics", "Marketing", "Operations", "Procurement", "Research", "Sales",
    ]

    /// 61 occupations in three grades.
    static let jobs = occupations.flatMap { name in ["\(name) I", "\(name) II", "\(name) III"] }

    /// Writes the three files.
    func write(to folder: String) throws {
        try write(SampleData.departments, to: folder + "/departments.csv")
        try write(SampleData.jobs, to: folder + "/jobs.csv")
        try writeHires(to: folder + "/hired_employees.csv")
    }

    private func write(_ names: [String], to path: String) throws {
        let lines = names.enumerated().map { "\($0 + 1),\($1)\n" }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: path))
    }

    private func writeHires(to path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw CocoaError(.fileWriteNoPermission) }
        defer { try? file.close() }
        let flushByteCount = 1 << 20
        var sink = ByteSink(capacity: flushByteCount + 4096)
        var hires = HireWriter(seed: seed, dirt: dirt)
        for index in 0..<rowCount {
            hires.append(id: Int64(index + 1), to: &sink)
            if sink.count >= flushByteCount {
                try flush(&sink, to: file)
            }
        }
        try flush(&sink, to: file)
    }

    private func flush(_ sink: inout ByteSink, to file: FileHandle) throws {
        try file.write(contentsOf: Data(sink.unsafeBytes))
        sink.removeAll()
    }
}

/// Writes hires as CSV lines, by bytes.
private struct HireWriter {
    private var generator: SplitMix
    private let firstNames = names.map { Array($0.0.utf8) }
    private let lastNames = names.map { Array($0.1.utf8) }
    /// `2021-01-01T` and so on, a day each.
    private let days: [[UInt8]]
    /// A hire is dirty if 32 random bits are below.
    private let dirtLimit: UInt64

    private enum Fault { case missingName, missingTime, missingDepartment, emptyJob }

    init(seed: UInt64, dirt: Double) {
        generator = SplitMix(state: seed)
        dirtLimit = UInt64(dirt * 4_294_967_296)
        let first = Int32(Civil.days(year: 2021, month: 1, day: 1))
        let end = Int32(Civil.days(year: 2022, month: 3, day: 1))
        days = (first..<end).map { day in
            var sink = ByteSink(capacity: 16)
            ScalarText.append(days: day, to: &sink)
            sink.append(byte: UInt8(ascii: "T"))
            return Array(sink.unsafeBytes)
        }
    }

    mutating func append(id: Int64, to sink: inout ByteSink) {
        // Every hire takes the same count of random numbers, dirty or not.
        let (people, time, place) = (generator.next(), generator.next(), generator.next())
        let fault = fault(generator.next())
        sink.append(digits: id)
        if fault != .missingName {
            sink.append(byte: UInt8(ascii: ","))
            sink.append(raw: firstNames[pick(people & 0xFFFF_FFFF, firstNames.count)])
            sink.append(byte: UInt8(ascii: " "))
            sink.append(raw: lastNames[pick(people >> 32, lastNames.count)])
        }
        if fault != .missingTime {
            sink.append(byte: UInt8(ascii: ","))
            append(time, to: &sink)
        }
        if fault != .missingDepartment {
            sink.append(byte: UInt8(ascii: ","))
            let department = pick(place & 0xFFFF_FFFF, SampleData.departments.count)
            sink.append(digits: Int64(department + 1))
        }
        sink.append(byte: UInt8(ascii: ","))
        if fault != .emptyJob {
            sink.append(digits: Int64(pick(place >> 32, jobCount) + 1))
        }
        sink.append(byte: UInt8(ascii: "\n"))
    }

    private let jobCount = SampleData.jobs.count

    /// Of the dirt, about one in four is an empty job; the rest lack a column.
    private func fault(_ bits: UInt64) -> Fault? {
        guard bits & 0xFFFF_FFFF < dirtLimit else { return nil }
        switch bits >> 62 {
        case 0: return .emptyJob
        case 1: return .missingName
        case 2: return .missingTime
        default: return .missingDepartment
        }
    }

    private func append(_ bits: UInt64, to sink: inout ByteSink) {
        sink.append(raw: days[pick(bits & 0xFFFF_FFFF, days.count)])
        let second = pick(bits >> 32, 86_400)
        append(twoDigits: second / 3600, to: &sink)
        sink.append(byte: UInt8(ascii: ":"))
        append(twoDigits: second / 60 % 60, to: &sink)
        sink.append(byte: UInt8(ascii: ":"))
        append(twoDigits: second % 60, to: &sink)
        sink.append(byte: UInt8(ascii: "Z"))
    }

    private func append(twoDigits value: Int, to sink: inout ByteSink) {
        sink.append(byte: UInt8(ascii: "0") + UInt8(value / 10))
        sink.append(byte: UInt8(ascii: "0") + UInt8(value % 10))
    }

    /// A number below `count` from 32 random bits (Lemire 2019, without rejection: the skew is less
    /// than one in ten thousand).
    private func pick(_ bits: UInt64, _ count: Int) -> Int {
        Int((bits &* UInt64(count)) >> 32)
    }
}

extension ByteSink {
    /// A number's decimal digits.
    fileprivate mutating func append(digits value: Int64) {
        append(capacity: 20) { room in
            var rest = value
            var place = 20
            repeat {
                place -= 1
                room[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            for index in place..<20 { room[index - place] = room[index] }
            return 20 - place
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

private let names: [(String, String)] = [
    ("Ada", "Abara"), ("Agnes", "Almeida"), ("Alvin", "Anders"), ("Amara", "Arce"),
    ("Anselm", "Baptiste"), ("Aoife", "Barlow"), ("Ayla", "Bauer"), ("Basil", "Bianchi"),
    ("Bela", "Brandt"), ("Blanca", "Byrne"), ("Bram", "Castellanos"), ("Carys", "Chandra"),
    ("Cosima", "Corbin"), ("Cyrus", "Dahl"), ("Dagny", "Delgado"), ("Dario", "Demir"),
    ("Delphine", "Di Marco"), ("Edda", "Dupont"), ("Elif", "Eklund"), ("Emil", "Esposito"),
    ("Esme", "Faber"), ("Fabian", "Fontaine"), ("Faye", "Galloway"), ("Felix", "Garza"),
    ("Fiona", "Grieg"), ("Gaspar", "Haddad"), ("Greta", "Halvorsen"), ("Hanna", "Hartmann"),
    ("Hugo", "Hoang"), ("Ida", "Ibsen"), ("Ilan", "Iyer"), ("Imre", "Jansen"),
    ("Ines", "Jimenez"), ("Ivo", "Kamau"), ("Jarek", "Keller"), ("Jonna", "Kowalski"),
    ("Juno", "Larsen"), ("Kaspar", "Lefebvre"), ("Katya", "Lindqvist"), ("Kofi", "Lopes"),
    ("Lars", "Maddox"), ("Leila", "Marchetti"), ("Linus", "Mendes"), ("Livia", "Mokoena"),
    ("Magda", "Moreau"), ("Malik", "Nakamura"), ("Marlow", "Navarro"), ("Mina", "Nilsen"),
    ("Nadia", "Novak"), ("Nils", "O'Dell"), ("Noor", "Okafor"), ("Odette", "Olsen"),
    ("Olaf", "Ortega"), ("Orla", "Pappas"), ("Otis", "Petrov"), ("Paloma", "Quigley"),
    ("Petra", "Ramos"), ("Quentin", "Reyes"), ("Rafael", "Rossi"), ("Ramona", "Sandoval"),
    ("Rhea", "Schmid"), ("Rufus", "Silva"), ("Saskia", "Sorensen"), ("Selma", "Tanaka"),
    ("Soren", "Teixeira"), ("Stella", "Thorne"), ("Tamsin", "Ueda"), ("Theo", "Van Dyk"),
    ("Tilda", "Varga"), ("Ulrich", "Vega"), ("Ursula", "Wagner"), ("Vera", "Whitlock"),
    ("Viggo", "Xu"), ("Wanda", "Yilmaz"), ("Willem", "Young"), ("Xenia", "Zamora"),
    ("Yara", "Zeller"), ("Yusuf", "Zhang"), ("Zelda", "Ziegler"), ("Zoltan", "Zuniga"),
]

private let occupations = [
    "Account Executive", "Actuary", "Analyst Programmer", "Application Developer", "Architect",
    "Assistant Manager", "Auditor", "Automation Engineer", "Biostatistician", "Bookkeeper",
    "Business Analyst", "Buyer", "Chemist", "Civil Engineer", "Claims Adjuster",
    "Compensation Analyst", "Computer Operator", "Controller", "Copywriter", "Cost Accountant",
    "Data Engineer", "Database Administrator", "Design Engineer", "Desktop Technician",
    "Dispatcher", "Editor", "Electrical Engineer", "Environmental Specialist", "Event Planner",
    "Facilities Coordinator", "Financial Advisor", "Food Chemist", "Geologist",
    "Graphic Designer", "Health Coach", "Help Desk Operator", "Illustrator", "Interpreter",
    "Junior Executive", "Laboratory Technician", "Legal Assistant", "Librarian", "Machinist",
    "Marketing Assistant", "Mechanical Engineer", "Media Planner", "Network Engineer", "Nurse",
    "Office Assistant", "Operator", "Paralegal", "Payroll Clerk", "Product Engineer",
    "Project Manager", "Quality Engineer", "Recruiter", "Research Associate", "Safety Technician",
    "Sales Associate", "Software Tester", "Statistician",
]
