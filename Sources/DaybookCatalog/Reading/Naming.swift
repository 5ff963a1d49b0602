/// What names may be, and which one was probably meant.
enum Naming {
    /// Postgres cuts longer names; Avro allows the same characters.
    static let nameByteCountMax = 63

    /// Names that are paths of the HTTP interface, so that no table can be reached by them.
    static let reservedTables: Set<String> = [
        "batches", "rejections", "reports", "events", "status", "backups", "tables", "keys",
        "imports", "proofs", "retractions",
    ]

    /// The column that every table has last, and those that Postgres has in every table.
    static let reservedColumns: Set<String> = [
        "ledger_position", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid",
    ]

    static let rule =
        "a name is a letter or `_`, then letters, digits or `_`, at most \(nameByteCountMax) in all"

    /// Whether `name` is good in Postgres, in Avro and in a URL without quoting.
    static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= nameByteCountMax else { return false }
        return isLetter(first) && name.utf8.allSatisfy { isLetter($0) || isDigit($0) }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "_")
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// "did you mean `x`?" if one of `known` is near, else the list of what there is.
    static func suggestion(for name: String, among known: [String], kind: String) -> String {
        let near = known.map { (name: $0, distance: distance(name.lowercased(), $0.lowercased())) }
            .min { $0.distance < $1.distance }
        if let near, near.distance <= min(2, name.count / 2) {
            return "did you mean `\(near.name)`?"
        }
        if known.isEmpty { return "there is none yet" }
        return "\(kind) are \(known.joined(separator: ", "))"
    }

    /// Levenshtein's distance: how many letters must be put in, taken out or changed.
    private static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.unicodeScalars.prefix(64))
        let right = Array(right.unicodeScalars.prefix(64))
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let substituted = diagonal + (a == b ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[right.count]
    }
}
