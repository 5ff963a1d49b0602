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
    /// The file is no Avro object container file.
    case notAvro
    /// No row of the Avro file can be read, or none can be of the table; what is wrong.
    case unusableFile(String)
    /// The Avro file cannot be read on from here, in bytes; what is wrong there. Batches before
    /// it may have been taken already.
    case damaged(offset: Int, String)

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
        case .notAvro:
            "the file is no Avro object container file: it does not begin with Obj and 1"
        case .unusableFile(let what):
            "the Avro file cannot be used: \(what)"
        case .damaged(let offset, let what):
            "the Avro file is damaged at byte \(offset): \(what); the rows before it that were "
                + "acknowledged stay, and the file does not count as imported"
        }
    }
}
