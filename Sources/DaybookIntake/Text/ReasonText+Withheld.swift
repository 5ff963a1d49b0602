import DaybookCatalog

extension ReasonText {
    /// A reason for the sender of a row whose bytes are not kept: it says which rule was broken, in
    /// words that follow from the dictionary alone. `message` is used only for codes whose
    /// messages hold no bytes of the row; a field that is no column is not named.
    static func withoutValues(
        _ code: RejectionCode, column: String?, of table: Table,
        _ message: @autoclosure () -> String
    ) -> Reason {
        let known = column.flatMap { name in table.columns.first { $0.name == name } }
        let text: String
        switch code {
        case .malformedBatch, .malformedRow, .wrongFieldCount, .duplicateField, .missingField,
            .checkFailed, .duplicateKey, .unknownReference, .atomicBatch:
            text = message()
        case .unknownField: text = "the row has a field that the table \(table.name) does not have"
        case .wrongType, .invalidTimestamp, .invalidDate, .invalidDecimal, .invalidUUID:
            text = known.map { "the value is not \(expectation($0.type))" } ?? "a wrong type"
        case .outOfRange: text = "the value is out of the column's range"
        case .tooLong: text = "the text is longer than the column takes"
        case .patternMismatch: text = "the text does not match the column's pattern"
        case .notAllowed: text = "the value is not one of those that the column takes"
        case .internal: text = "the row could not be judged"
        }
        return Reason(code, column: known.map { cut($0.name) }, cut(text))
    }
}
