/// The query of a report, with what Postgres reads in the place of its parameters.
struct ReportQuery {
    /// See `Report.sql`.
    let sql: String

    /// Checks and rewrites the whole text of a file; nil if it has a mistake, which goes to the
    /// file's diagnostics.
    init?(file: FileReader, text: String, parameters: [ReportHeader.Draft]) {
        var rewriter = QueryRewriter(file: file, text: Array(text.utf8), parameters: parameters)
        guard let sql = rewriter.run() else { return nil }
        self.sql = sql
    }
}

/// Goes over the tokens of one file.
private struct QueryRewriter {
    let file: FileReader
    let text: [UInt8]
    let parameters: [ReportHeader.Draft]
    private var output: [UInt8] = []
    /// Everything before it is in `output`.
    private var copied = 0
    private var used: Set<String> = []
    private var isSound = true

    init(file: FileReader, text: [UInt8], parameters: [ReportHeader.Draft]) {
        self.file = file
        self.text = text
        self.parameters = parameters
    }

    mutating func run() -> String? {
        var lexer = QueryLexer(text)
        var hasQuery = false
        var isEnded = false
        if let place = text.firstIndex(of: 0) {
            report(place, "the query holds a zero byte", "remove it: Postgres reads no further")
        }
        while let token = lexer.next() {
            if case .semicolon(let place) = token {
                copy(upTo: place)
                copied = place + 1
                isEnded = true
                continue
            }
            if isEnded {
                report(token.start, "the file has a second statement", "write one query a file")
                break
            }
            hasQuery = true
            rewrite(token)
        }
        if !hasQuery {
            file.diagnostics.report(
                file.start, "the file has no query", "write a SELECT below the header")
            isSound = false
        }
        if !isEnded { copy(upTo: text.count) }
        for draft in parameters where !used.contains(draft.name.value) {
            file.diagnostics.report(
                draft.name.place, "the query does not use the parameter `\(draft.name.value)`",
                "write `:\(draft.name.value)` where its value stands, or remove it")
            isSound = false
        }
        return isSound ? String(decoding: output, as: UTF8.self) : nil
    }

    private mutating func rewrite(_ token: QueryLexer.Token) {
        switch token {
        case .parameter(let range): replace(range)
        case .positional(let range):
            let name = String(decoding: text[range], as: UTF8.self)
            report(
                range.lowerBound, "`\(name)` is no parameter of a report",
                "declare a parameter in the header and write `:name`")
        case .unterminated(let start):
            report(start, "a quote or comment begins here and does not end", "end it")
        case .semicolon, .other: break
        }
    }

    private mutating func replace(_ range: Range<Int>) {
        let name = String(decoding: text[range.dropFirst()], as: UTF8.self)
        guard let place = parameters.firstIndex(where: { $0.name.value == name }) else {
            report(
                range.lowerBound, "the parameter `\(name)` is not declared",
                Naming.suggestion(
                    for: name, among: parameters.map(\.name.value), kind: "the parameters"))
            return
        }
        used.insert(name)
        // A mistake in its declaration was reported there.
        guard let parameter = parameters[place].parameter else {
            isSound = false
            return
        }
        copy(upTo: range.lowerBound)
        output += "CAST($\(place + 1) AS \(parameter.type.sqlType))".utf8
        copied = range.upperBound
    }

    private mutating func copy(upTo end: Int) {
        output += text[copied..<end]
        copied = end
    }

    private mutating func report(_ place: Int, _ problem: String, _ remedy: String) {
        let before = text[..<place]
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let column = String(decoding: text[lineStart..<place], as: UTF8.self).unicodeScalars.count
        let line = before.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
        file.diagnostics.report(
            Place(file: file.name, line: line, column: column + 1), problem, remedy)
        isSound = false
    }
}

extension QueryLexer.Token {
    /// Where it begins.
    var start: Int {
        switch self {
        case .parameter(let range), .positional(let range): range.lowerBound
        case .semicolon(let start), .other(let start), .unterminated(let start): start
        }
    }
}
