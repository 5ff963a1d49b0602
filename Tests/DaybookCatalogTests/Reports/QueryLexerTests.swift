import TestSupport
import Testing

@testable import DaybookCatalog

@Suite("Parameters in SQL")
struct QueryLexerTests {
    /// The text with `<name>` for every parameter that is found.
    private func marked(_ sql: String) -> String {
        let bytes = Array(sql.utf8)
        var lexer = QueryLexer(bytes)
        var result: [UInt8] = []
        var copied = 0
        while let token = lexer.next() {
            guard case .parameter(let range) = token else { continue }
            result += bytes[copied..<range.lowerBound] + "<".utf8
            result += bytes[range.dropFirst()] + ">".utf8
            copied = range.upperBound
        }
        return String(decoding: result + bytes[copied...], as: UTF8.self)
    }

    @Test(
        "A parameter is one only where a value can stand",
        arguments: [
            ("SELECT :a", "SELECT <a>"),
            ("SELECT :a,:b_2+:ünïcode", "SELECT <a>,<b_2>+<ünïcode>"),
            ("SELECT ':a'", "SELECT ':a'"),
            ("SELECT 'it''s :a' || :b", "SELECT 'it''s :a' || <b>"),
            (#"SELECT 'back\' || :a"#, #"SELECT 'back\' || <a>"#),
            (#"SELECT E'quote\' :a' || :b"#, #"SELECT E'quote\' :a' || <b>"#),
            (#"SELECT e'\\' || :b"#, #"SELECT e'\\' || <b>"#),
            (#"SELECT te'quote\' || :b"#, #"SELECT te'quote\' || <b>"#),
            ("SELECT \"a:b\"\" :c\" , :d", "SELECT \"a:b\"\" :c\" , <d>"),
            ("SELECT $$ :a ' $$, :b", "SELECT $$ :a ' $$, <b>"),
            ("SELECT $t$ :a $$ $u$ $t$, :b", "SELECT $t$ :a $$ $u$ $t$, <b>"),
            ("SELECT a$b$ , :c", "SELECT a$b$ , <c>"),
            ("SELECT 1 -- :a 'x\n, :b", "SELECT 1 -- :a 'x\n, <b>"),
            ("SELECT /* :a /* ' */ :b */ :c", "SELECT /* :a /* ' */ :b */ <c>"),
            ("SELECT :a::text", "SELECT <a>::text"),
            ("SELECT x::date, '1'::int8", "SELECT x::date, '1'::int8"),
            ("SELECT f(n := 1, m => :a)", "SELECT f(n := 1, m => <a>)"),
            ("SELECT a[1: n], a[:n]", "SELECT a[1: n], a[<n>]"),
            ("SELECT 1e5, 2-:a, j->:b", "SELECT 1e5, 2-<a>, j-><b>"),
            ("SELECT :1, : a", "SELECT :1, : a"),
        ])
    func parameters(sql: String, expected: String) { #expect(marked(sql) == expected) }

    @Test("No text takes the lexer out of its bounds, and every place is found in order")
    func randomText() {
        var generator = SeededGenerator()
        let pieces = [
            "'", "\"", "$", "$$", "$a$", "--", "/*", "*/", ":", "::", ":a", ";", "\n", "E'", "\\",
            "ä", "x1", " ",
        ]
        for _ in 0..<2_000 {
            let count = Int.random(in: 0...12, using: &generator)
            let sql = (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }
                .joined()
            var lexer = QueryLexer(Array(sql.utf8))
            var last = -1
            while let token = lexer.next() {
                #expect(token.start > last && token.start < sql.utf8.count, "\(sql)")
                last = token.start
            }
        }
    }
}
