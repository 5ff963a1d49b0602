/// Keeps every key narrow enough for Postgres's indexes.
///
/// A B-tree entry holds at most 2,704 bytes. A longer key would be accepted at the door and then
/// stop the projector for good, so a key's strings are bounded when the dictionary is read: where
/// the file gives no `maxLength`, the string gets an equal share of the room.
enum KeyWidth {
    /// What the strings of one key may take together, in bytes; other columns take 16 at most, and
    /// there are at most 32 of them.
    static let stringByteCountMax = 2_048
    /// UTF-8 takes at most this much for a Unicode scalar.
    private static let scalarByteCountMax = 4

    static func limited(
        _ columns: [Column], uniqueSets: [[Int]], of draft: TableDraft,
        _ diagnostics: DiagnosticList
    ) -> [Column] {
        // Indexes are those of the file's columns only if none of them was wrong.
        guard columns.count == draft.columns.count else { return columns }
        var columns = columns
        for set in uniqueSets {
            let strings = set.filter { columns[$0].type == .string }
            let open = strings.filter { draft.columns[$0].column?.maxLength == nil }
            let given = strings.compactMap { draft.columns[$0].column?.maxLength }.reduce(0, +)
            let room = stringByteCountMax / scalarByteCountMax - given
            guard room >= open.count else {
                diagnostics.report(
                    draft.columns[strings[0]].name.place,
                    "the strings of a key or unique set may be longer than Postgres can index",
                    "give them a `maxLength` of at most "
                        + "\(stringByteCountMax / scalarByteCountMax) in all")
                continue
            }
            for index in open {
                let share = room / open.count
                let length = min(columns[index].maxLength ?? share, share)
                columns[index] = columns[index].limited(to: length)
            }
        }
        return columns
    }
}

extension Column {
    fileprivate func limited(to maxLength: Int) -> Column {
        Column(
            name: name, doc: doc, type: type, isOptional: isOptional, defaultValue: defaultValue,
            maxLength: maxLength, pattern: pattern, minimum: minimum, maximum: maximum,
            oneOf: oneOf, aliases: aliases)
    }
}
