import Foundation
import TestSupport
import Testing

/// One line of `cases/*.txt`: a row or a body as it is sent, and the verdict on it.
/// `cases/README.md` says how they are written.
struct CaseLine: Sendable {
    /// Where it stands, for a person.
    let place: String
    /// How it is sent: `J`, `N`, `C`; `H` is a header.
    let forms: String
    let sent: String
    /// The codes of each row, in order, with their columns; none is a row that is good.
    let verdicts: [[String]]
    /// The kind of the problem that is answered instead.
    let error: String?
    /// What Postgres has of it; nil if the file does not say.
    let stored: String?

    /// The bytes that `sent` stands for.
    var bytes: Data { CaseNotation.bytes(sent) }
}

/// The lines below one `@`: rows of one table that are sent as one batch.
struct CaseGroup: Sendable {
    let table: String
    let isAtomic: Bool
    let hasHeader: Bool
    let lines: [CaseLine]

    /// The lines that are sent in a form.
    func lines(of form: Character) -> [CaseLine] { lines.filter { $0.forms.contains(form) } }
}

/// A file of cases.
struct CaseFile: Sendable {
    static let folder = "\(packageRoot)/Tests/IntegrationTests/cases"
    /// The files of rows; `bodies` has whole bodies.
    static let rows = ["fields", "keys", "precedence", "rules", "values"]

    let groups: [CaseGroup]

    init(_ name: String) throws {
        let path = "\(CaseFile.folder)/\(name).txt"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        var groups: [CaseGroup] = []
        var heading: (table: String, isAtomic: Bool, hasHeader: Bool)?
        var lines: [CaseLine] = []
        func close() {
            guard let heading else { return }
            groups.append(
                CaseGroup(
                    table: heading.table, isAtomic: heading.isAtomic,
                    hasHeader: heading.hasHeader, lines: lines))
            lines = []
        }
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            if line.isEmpty || line.hasPrefix("# ") { continue }
            if line.hasPrefix("@") {
                close()
                let title = try #require(line.dropFirst().firstRange(of: "  "), "\(line)")
                var words = String(line[line.index(after: line.startIndex)..<title.lowerBound])
                let hasHeader = words.hasSuffix("; header")
                if hasHeader { words.removeLast("; header".count) }
                let isAtomic = words.hasSuffix("?atomic=true")
                if isAtomic { words.removeLast("?atomic=true".count) }
                heading = (words, isAtomic, hasHeader)
                continue
            }
            lines.append(try CaseFile.line(String(line), "\(name).txt:\(index + 1)"))
        }
        close()
        self.groups = groups
    }

    private static func line(_ text: String, _ place: String) throws -> CaseLine {
        let cells = "\(text) ".components(separatedBy: " | ").map {
            $0.trimmingCharacters(in: CharacterSet(charactersIn: " "))
        }
        try #require(cells.count >= 2, "\(place): \(text)")
        let outcome = String(
            decoding: CaseNotation.bytes(cells.count > 2 ? cells[2] : ""), as: UTF8.self)
        let isError = outcome.hasPrefix("error ")
        let verdicts = outcome.components(separatedBy: ";").map {
            $0.split(separator: " ").map(String.init).filter { $0 != "ok" }
        }
        return CaseLine(
            place: place, forms: cells[0], sent: cells[1], verdicts: isError ? [] : verdicts,
            error: isError ? String(outcome.dropFirst("error ".count)) : nil,
            stored: cells.count > 3 ? cells[3] : nil)
    }
}

/// The signs by which the case files write bytes.
enum CaseNotation {
    private static let signs: [(Character, UInt8)] = [
        ("␠", 0x20), ("␉", 0x09), ("␊", 0x0A), ("␍", 0x0D),
    ]

    /// The bytes that a text stands for.
    static func bytes(_ text: String) -> Data {
        var data = Data()
        var rest = text[...]
        while let sign = rest.popFirst() {
            if sign == "‹", let end = rest.firstIndex(of: "›") {
                let inner = rest[..<end]
                rest = rest[rest.index(after: end)...]
                if let cross = inner.firstIndex(of: "×"), let count = Int(inner[..<cross]) {
                    let piece = bytes(String(inner[inner.index(after: cross)...]))
                    for _ in 0..<count { data.append(piece) }
                } else if let byte = UInt8(inner, radix: 16) {
                    data.append(byte)
                }
            } else if let byte = signs.first(where: { $0.0 == sign })?.1 {
                data.append(byte)
            } else {
                data.append(contentsOf: String(sign).utf8)
            }
        }
        return data
    }

    /// A text with signs for what cannot be seen.
    static func text(_ value: String) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            if let sign = signs.dropFirst().first(where: { UInt32($0.1) == scalar.value })?.0 {
                text.append(sign)
            } else if scalar.value < 0x20 {
                let digits = String(scalar.value, radix: 16, uppercase: true)
                text += "‹\(digits.count == 1 ? "0" : "")\(digits)›"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
