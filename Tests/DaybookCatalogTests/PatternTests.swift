import DaybookCatalog
import Testing

@Suite("Patterns")
struct PatternTests {
    private func matches(_ pattern: Pattern, _ text: String) -> Bool {
        var text = text
        return text.withUTF8 { pattern.matches(UnsafeRawBufferPointer($0)) }
    }

    @Test(
        "A name and surname match, a name alone does not",
        arguments: [
            ("Harold Vogt", true), ("Ty  de\tla Hofer", true), ("José Ñandú", true),
            ("Harold", false), ("Harold ", false), (" Harold Vogt", false), ("", false),
            ("Harold Vogt\n", false), ("李 明", true),
        ])
    func names(_ text: String, _ expected: Bool) throws {
        #expect(try matches(Pattern(#"\S+(\s+\S+)+"#), text) == expected)
    }

    @Test("The whole value has to match, and an alternative is no way around that")
    func whole() throws {
        let pattern = try Pattern("a|bc")
        #expect(matches(pattern, "a") && matches(pattern, "bc"))
        #expect(!matches(pattern, "ac") && !matches(pattern, "abc") && !matches(pattern, "xa"))
        #expect(matches(try Pattern(""), ""))
        #expect(!matches(try Pattern(""), "a"))
    }

    @Test("A dot is one character of UTF-8, and bytes that are no UTF-8 match nothing")
    func unicode() throws {
        let pattern = try Pattern("..")
        #expect(matches(pattern, "é😀"))
        #expect(!matches(pattern, "é"))
        let broken: [UInt8] = [0x61, 0xFF]
        #expect(broken.withUnsafeBytes { !pattern.matches($0) })
        #expect(matches(try Pattern(#"\p{Lu}\p{Ll}+"#), "Élodie"))
    }

    @Test("A pattern that makes backtracking explode takes time linear in the value")
    func linear() throws {
        let pattern = try Pattern("(a+)+b|(a|a)*c")
        let clock = ContinuousClock()
        func seconds(_ count: Int) -> Duration {
            let text = String(repeating: "a", count: count)
            return clock.measure { #expect(!matches(pattern, text)) }
        }
        _ = seconds(1_000)
        // Backtracking would take 2^1,000,000 steps; even a quadratic matcher takes minutes.
        #expect(seconds(1_000_000) < .seconds(5))
    }

    @Test(
        "A mistake is told in RE2's words",
        arguments: [
            ("(a", "missing ): (a"), ("[z-a]", "invalid character class range: z-a"),
            (#"(a)\1"#, #"invalid escape sequence: \1"#), ("a**", "bad repetition operator: **"),
            (#"(\pL{100}){9}"#, "pattern too large - compile failed"),
        ])
    func mistakes(_ text: String, _ words: String) {
        let error = #expect(throws: CatalogError.self) { try Pattern(text) }
        #expect(error == .badPattern(reason: words))
    }

    @Test("Threads share one pattern")
    func threads() async throws {
        let pattern = try Pattern(#"\S+(\s+\S+)+"#)
        let counts = await withTaskGroup(of: Int.self) { group in
            for task in 0..<4 {
                group.addTask {
                    (0..<2_000).filter {
                        matches(pattern, "Name\(task) \($0)") && !matches(pattern, "Name\($0)")
                    }.count
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counts == [2_000, 2_000, 2_000, 2_000])
    }
}
