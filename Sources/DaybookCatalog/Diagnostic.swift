/// One mistake in a dictionary file: where it stands, what is wrong, and what would be right.
public struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    /// The file's name as the loader was given it.
    public let file: String
    /// Counted from 1.
    public let line: Int
    /// Counted from 1, in Unicode scalars.
    public let column: Int
    /// What is wrong.
    public let problem: String
    /// What would be right.
    public let remedy: String

    /// `file:line:column: what is wrong; what would be right`
    public var description: String { "\(file):\(line):\(column): \(problem); \(remedy)" }
}

/// Why a dictionary could not be read.
public enum CatalogError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Every mistake that was found, in order of file, line and column.
    case mistakes([Diagnostic])
    /// The folder has no definition in it.
    case noDefinitions(folder: String)
    /// A file or folder that cannot be read.
    case unreadable(path: String, reason: String)
    /// A regular expression that does not compile, in RE2's words.
    case badPattern(reason: String)

    /// What a person needs to mend it; of several mistakes, one line each.
    public var description: String {
        switch self {
        case .mistakes(let diagnostics):
            diagnostics.map(\.description).joined(separator: "\n")
        case .noDefinitions(let folder):
            "\(folder) holds no .yaml file; "
                + "`daybook init DIR` makes a folder with a dictionary to start from"
        case .unreadable(let path, let reason):
            "\(path) cannot be read: \(reason)"
        case .badPattern(let reason):
            "the pattern does not compile: \(reason)"
        }
    }
}

/// A place in a dictionary file, counted from 1.
struct Place: Hashable {
    let file: String
    let line: Int
    let column: Int
}

/// A value and where it stands.
struct Located<Value> {
    let value: Value
    let place: Place
}

/// The mistakes found so far. Reading goes on after a mistake, so that one run names them all.
final class DiagnosticList {
    private var items: [Diagnostic] = []
    /// Whether a whole definition could not be read, so that its name is not known to the others.
    var lacksDefinition = false

    func report(_ place: Place, _ problem: String, _ remedy: String) {
        items.append(
            Diagnostic(
                file: place.file, line: place.line, column: place.column, problem: problem,
                remedy: remedy))
    }

    /// Ends the reading if there was any mistake.
    func throwIfAny() throws(CatalogError) {
        guard !items.isEmpty else { return }
        let sorted = items.sorted {
            ($0.file, $0.line, $0.column) < ($1.file, $1.line, $1.column)
        }
        throw .mistakes(sorted)
    }
}
