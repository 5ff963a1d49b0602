/// A question that can be asked of the tables: one file of `sql/reports`, read and checked.
public struct Report: Sendable {
    /// The file's name without `.sql`; the last part of the report's path.
    public let name: String
    /// The file, as the loader was given it, for messages about the query.
    public let file: String
    /// One line that says what is answered.
    public let title: String
    /// More about it, for a person; may be empty.
    public let doc: String
    /// In the order of the header, which is that of `$1`, `$2`… in `sql`.
    public let parameters: [Parameter]
    /// How the answer is best drawn, if the report says so.
    public let chart: Chart?
    /// The query as Postgres gets it: a parameter is `CAST($n AS type)`, so that it is bound and
    /// never part of the text. It has no semicolon, and its lines are those of the file.
    public let sql: String

    /// What a caller may choose.
    public struct Parameter: Sendable, Hashable {
        /// The name in the header, in the query (`:name`) and in the interface.
        public let name: String
        /// What its values are.
        public let type: ColumnType
        /// What it means, for a person; may be empty.
        public let doc: String
        /// What it is unless the caller says; a parameter without one must be given.
        public let defaultValue: ScalarValue?
    }

    /// How the answer's columns become a drawing. The columns are named, not looked up: only the
    /// query itself knows them.
    public struct Chart: Sendable, Hashable {
        /// What is drawn.
        public enum Kind: String, Sendable, CaseIterable {
            /// A bar for every row and every column of `y`.
            case bar
            /// A line of coloured cells for every row, a cell for every column of `x`.
            case heatmap
        }
        /// What is drawn.
        public let kind: Kind
        /// `bar`: the columns that name a bar; `heatmap`: the columns with the figures.
        public let x: [String]
        /// `bar`: the columns with the figures; `heatmap`: the columns that name a line.
        public let y: [String]
    }
}

/// Why a report was not asked: what was given does not fit its parameters.
public struct ReportArgumentError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, and which parameters there are.
    public let description: String
}

extension Report {
    /// The values of all parameters in their order: those given, and the defaults of the others.
    ///
    /// - Throws: `ReportArgumentError` for a name that is not known or stands twice, a value that
    ///   is not of its type, and a parameter without default that is missing.
    public func arguments(
        _ given: [(name: String, value: String)]
    ) throws(ReportArgumentError) -> [ScalarValue] {
        var values = parameters.map(\.defaultValue)
        var taken: Set<String> = []
        for (name, text) in given {
            guard let place = parameters.firstIndex(where: { $0.name == name }) else {
                throw mistake("there is no parameter \(name)")
            }
            guard taken.insert(name).inserted else { throw mistake("\(name) stands twice") }
            let type = parameters[place].type
            guard !text.utf8.contains(0), let value = try? ScalarValue(text: text, type: type)
            else { throw mistake("\(name) is not \(type.example)") }
            values[place] = value
        }
        var complete: [ScalarValue] = []
        for (parameter, value) in zip(parameters, values) {
            guard let value else { throw mistake("\(parameter.name) is missing") }
            complete.append(value)
        }
        return complete
    }

    private func mistake(_ what: String) -> ReportArgumentError {
        guard !parameters.isEmpty else {
            return ReportArgumentError(description: "\(what); \(name) takes no parameter")
        }
        let known = parameters.map { parameter in
            let value = parameter.defaultValue?.text(type: parameter.type)
            return
                "\(parameter.name) (\(parameter.type)\(value.map { ", \($0) by default" } ?? ""))"
        }
        return ReportArgumentError(
            description: "\(what); \(name) takes \(known.joined(separator: ", "))")
    }
}
