/// A definition as one file has it, before names of other tables and columns are looked up.
enum Draft {
    case table(TableDraft)
    case aggregate(AggregateDraft)
}

struct TableDraft {
    let name: Located<String>
    let doc: String
    let columns: [ColumnDraft]
    /// Absent if the file has none, which was reported.
    let key: [Located<String>]?
    let unique: [[Located<String>]]
    let unknownFields: UnknownFields
    let rejectedRaw: RejectedRaw
    let checks: [CheckDraft]
    /// Those of the columns first, then those of the table.
    let references: [ReferenceDraft]
}

struct ColumnDraft {
    let name: Located<String>
    /// Absent if its type was wrong, which was reported.
    let column: Column?
}

struct CheckDraft {
    let left: Located<String>
    let comparison: Comparison
    let right: Located<String>
}

struct ReferenceDraft {
    let from: [Located<String>]
    let table: Located<String>
    /// The referenced columns; absent for the table's key.
    let columns: [Located<String>]?
    let rejectsMissing: Bool
}

struct AggregateDraft {
    let name: Located<String>
    let doc: String
    let from: Located<String>
    let groups: [GroupDraft]
    let measures: [MeasureDraft]
    let condition: ConditionDraft?
    let timeZone: String
}

struct GroupDraft {
    let name: Located<String>
    let function: Aggregate.TimeFunction?
    let column: Located<String>
}

struct MeasureDraft {
    let name: Located<String>
    let function: Aggregate.Measure.Function
    let column: Located<String>?
}

struct ConditionDraft {
    let left: Located<String>
    let comparison: Comparison
    let right: Located<String>
}
