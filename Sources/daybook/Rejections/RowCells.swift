import DaybookCatalog
import DaybookLog
import Foundation

/// Takes a rejected row apart into the values of its table's columns, as text, so that a person can
/// correct them in a spreadsheet.
///
/// Nothing is guessed: what cannot be told apart is left empty.
struct RowCells {
    private let table: Table

    /// Rows of `table`.
    init(_ table: Table) { self.table = table }

    /// The columns' names.
    var names: [String] { table.columns.map(\.name) }

    /// A value for every column, empty where there is none.
    func values(of rejection: ProjectedRejection) -> [String] {
        let empty = table.columns.map { _ in "" }
        let isWhole = rejection.rawLength == Int64(rejection.raw.count)
        guard isWhole, let text = String(validating: rejection.raw, as: UTF8.self) else {
            return empty
        }
        return (rejection.format == "csv" ? fields(text) : members(text)) ?? empty
    }

    /// Fields in the order of the columns. A row with too few fills the first columns; of one with
    /// too many nothing is taken, for it would lose what has no column.
    private func fields(_ text: String) -> [String]? {
        guard var fields = CSVRecord.fields(text), fields.count <= table.columns.count else {
            return nil
        }
        while fields.count < table.columns.count { fields.append("") }
        return fields
    }

    /// Members by the columns' names or aliases; one that stands twice is left out.
    private func members(_ text: String) -> [String]? {
        let data = Data(text.utf8)
        guard (try? JSONSerialization.jsonObject(with: data)) is [String: Any] else { return nil }
        var values: [String: String?] = [:]
        JSONMembers.forEach(in: Array(data)) { name, value in
            values[name] = .some(values[name] == nil ? value : nil)
        }
        return table.columns.map { column in
            for name in [column.name] + column.aliases {
                if case .some(let value) = values[name] { return value ?? "" }
            }
            return ""
        }
    }
}

/// One record of CSV.
///
/// Source: RFC 4180. A quote inside a field that does not start with one stands for itself.
enum CSVRecord {
    /// The fields of a record; nil if its quotes do not close or something follows one that does.
    static func fields(_ text: String) -> [String]? {
        var fields: [String] = []
        let scalars = Array(text.unicodeScalars)
        var place = 0
        while true {
            var field = String.UnicodeScalarView()
            if place < scalars.count, scalars[place] == "\"" {
                place += 1
                while true {
                    guard place < scalars.count else { return nil }
                    if scalars[place] == "\"" {
                        let isDoubled = place + 1 < scalars.count && scalars[place + 1] == "\""
                        guard isDoubled else { break }
                        place += 1
                    }
                    field.append(scalars[place])
                    place += 1
                }
                place += 1
                guard place == scalars.count || scalars[place] == "," else { return nil }
            } else {
                while place < scalars.count, scalars[place] != "," {
                    field.append(scalars[place])
                    place += 1
                }
            }
            fields.append(String(field))
            if place == scalars.count { return fields }
            place += 1
        }
    }
}

/// The members of a JSON object that is known to be well-formed.
enum JSONMembers {
    /// Calls `body` with every member: a string's text, `nil` for null, and any other value as it
    /// is written.
    static func forEach(in json: [UInt8], _ body: (_ name: String, _ value: String?) -> Void) {
        var place = json.firstIndex(of: UInt8(ascii: "{")).map { $0 + 1 } ?? json.count
        func skip(_ bytes: String) {
            while place < json.count, bytes.utf8.contains(json[place]) { place += 1 }
        }
        while true {
            skip(" \t\r\n,")
            guard place < json.count, json[place] == UInt8(ascii: "\"") else { return }
            let name = string(json, &place)
            skip(" \t\r\n:")
            guard place < json.count else { return }
            if json[place] == UInt8(ascii: "\"") {
                body(name, string(json, &place))
            } else {
                let value = other(json, &place)
                body(name, value == "null" ? nil : value)
            }
        }
    }

    /// Passes over the string at `place` and gives its text.
    private static func string(_ json: [UInt8], _ place: inout Int) -> String {
        let start = place
        place = stringEnd(json, from: place)
        let text = Data(json[start..<place])
        let options = JSONSerialization.ReadingOptions.fragmentsAllowed
        return (try? JSONSerialization.jsonObject(with: text, options: options)) as? String ?? ""
    }

    private static func stringEnd(_ json: [UInt8], from start: Int) -> Int {
        var place = start + 1
        while place < json.count, json[place] != UInt8(ascii: "\"") {
            place += json[place] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(place + 1, json.count)
    }

    /// Passes over a number, a word, an object or an array.
    private static func other(_ json: [UInt8], _ place: inout Int) -> String {
        let start = place
        var depth = 0
        while place < json.count {
            let byte = json[place]
            if byte == UInt8(ascii: "\"") {
                place = stringEnd(json, from: place)
                continue
            }
            let isOpening = byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[")
            let isClosing = byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
            if depth == 0, isClosing || byte == UInt8(ascii: ",") { break }
            depth += isOpening ? 1 : isClosing ? -1 : 0
            place += 1
        }
        let text = String(decoding: json[start..<place], as: UTF8.self)
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
