/// A Swift file's lines, as written and with all that is not code blanked out.
///
/// Rules look for words in `code`, so that a comment or a string may speak of `fatalError(`.
struct SourceText {
    /// Relative to the package's folder.
    let path: String
    /// The lines as written.
    let lines: [String]
    /// The same lines with comments and the contents of string literals replaced by spaces.
    let code: [String]
    /// Whether a line holds a comment or a part of one.
    let hasComment: [Bool]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var lexer = Lexer(Array(text.utf8))
        lexer.run()
        func split(_ bytes: [UInt8]) -> [String] {
            bytes.split(separator: Lexer.newline, omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
        }
        code = split(lexer.code)
        hasComment = split(lexer.comments).map { $0.contains { $0 != " " } }
    }
}

/// Tells code from comments and string literals, byte by byte (The Swift Programming Language,
/// "Lexical Structure"); regular expression literals are taken for code.
private struct Lexer {
    static let newline = UInt8(ascii: "\n")
    private let bytes: [UInt8]
    private var next = 0
    /// The text with everything else as spaces.
    private(set) var code: [UInt8]
    /// The comments with everything else as spaces.
    private(set) var comments: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        code = bytes
        comments = bytes.map { $0 == Self.newline ? $0 : UInt8(ascii: " ") }
    }

    mutating func run() {
        while next < bytes.count {
            if at("//") {
                comment { $0 == Self.newline }
            } else if at("/*") {
                blockComment()
            } else if let hashes = stringStart() {
                string(hashes: hashes)
            } else {
                next += 1
            }
        }
    }

    private func at(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard next + count <= bytes.count else { return false }
        return (0..<count).allSatisfy { bytes[next + $0] == text.utf8Start[$0] }
    }

    private mutating func blank(comment: Bool) {
        guard next < bytes.count else { return }
        if bytes[next] != Self.newline {
            if comment { comments[next] = bytes[next] }
            code[next] = UInt8(ascii: " ")
        }
        next += 1
    }

    private mutating func comment(until isEnd: (UInt8) -> Bool) {
        while next < bytes.count, !isEnd(bytes[next]) { blank(comment: true) }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if at("/*") {
                depth += 1
                blank(comment: true)
            } else if at("*/") {
                depth -= 1
                blank(comment: true)
            }
            blank(comment: true)
        } while depth > 0 && next < bytes.count
    }

    /// The number of `#` before the quotation mark that starts a string here, if one does.
    private func stringStart() -> Int? {
        let hashes = bytes[next...].prefix { $0 == UInt8(ascii: "#") }.count
        guard next + hashes < bytes.count else { return nil }
        return bytes[next + hashes] == UInt8(ascii: "\"") ? hashes : nil
    }

    private mutating func string(hashes: Int) {
        next += hashes
        let isMultiline = at("\"\"\"")
        let quote: StaticString = isMultiline ? "\"\"\"" : "\""
        let quoteCount = quote.utf8CodeUnitCount
        next += quoteCount
        while next < bytes.count {
            if !isMultiline, bytes[next] == Self.newline { return }
            if at(quote), followedByHashes(hashes, quoteCount) {
                next += quoteCount + hashes
                return
            }
            if bytes[next] == UInt8(ascii: "\\"), followedByHashes(hashes, 1) {
                for _ in 0...hashes { blank(comment: false) }
                if at("(") { interpolation() } else { blank(comment: false) }
            } else {
                blank(comment: false)
            }
        }
    }

    private func followedByHashes(_ count: Int, _ distance: Int) -> Bool {
        let hashes = bytes.dropFirst(next + distance).prefix(count)
        return hashes.count == count && hashes.allSatisfy { $0 == UInt8(ascii: "#") }
    }

    /// Skips `( … )`, with the strings in it.
    private mutating func interpolation() {
        var depth = 0
        repeat {
            if let hashes = stringStart() {
                string(hashes: hashes)
                continue
            }
            if at("(") { depth += 1 }
            if at(")") { depth -= 1 }
            blank(comment: false)
        } while depth > 0 && next < bytes.count
    }
}
