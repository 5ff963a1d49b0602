/// Why a file or body cannot be read under the options given. The caller corrects the call; nothing
/// is recorded. (What is wrong with a row or a body is a rejection, never an error.)
public enum IntakeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The header names a column that the table does not have.
    case unknownColumn(String, known: [String])
    /// The header names a column twice, or by its name and its alias.
    case repeatedColumn(String)
    /// The first line is the column names, but no header was announced.
    case unannouncedHeader
    /// The header's quotes do not close, or it is not UTF-8, or longer than a row may be.
    case malformedHeader

    /// For the person who made the call: what is wrong, and what to say instead.
    /// What is wrong and what would be right, for a person.
    public var description: String {
        switch self {
        case .unknownColumn(let name, let known):
            "the header has a column \"\(name)\" that the table does not have; "
                + "its columns are \(known.joined(separator: ", "))"
        case .repeatedColumn(let name):
            "the header names the column \"\(name)\" twice"
        case .unannouncedHeader:
            "the first line is the column names; say that it is a header "
                + "(--header, or the content type text/csv; header=present)"
        case .malformedHeader:
            "the first line is no CSV header: its quotes do not close, it is too long or not UTF-8"
        }
    }
}
