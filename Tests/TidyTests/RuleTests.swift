import Testing

/// A rule that cannot fail holds nothing: each is shown a breach, and what only looks like one.
@Suite struct RuleTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        let rule: Rule
        let bad: String
        /// The line of `bad` that breaks the rule, from 1.
        var line = 1
        let good: String
        var path = "Sources/Avro/Sample.swift"

        var testDescription: String { rule.name }
    }

    static let samples: [Sample] = [
        Sample(
            rule: Rules.columns, bad: "\n" + String(repeating: "é", count: 101), line: 2,
            good: String(repeating: "é", count: 100)),
        Sample(
            rule: Rules.fileLength, bad: String(repeating: "\n", count: 601), line: 601,
            good: String(repeating: "\n", count: 600)),
        Sample(
            rule: Rules.functionLength, bad: "struct A {\n" + function(lineCount: 71) + "}",
            line: 2, good: function(lineCount: 70)),
        Sample(rule: Rules.trailingSpace, bad: "let a = 1 ", good: "let a = 1\n\n"),
        Sample(
            rule: Rules.noTry, bad: "/* a\n*/ let a = try! f()", line: 2,
            good: "// try! f()\nlet a = \"try! \\(\"try!\") try!\""),
        Sample(
            rule: Rules.noFatalError, bad: "\"\"\"\na\n\"\"\"; fatalError()", line: 3,
            good: "let a = \"\"\"\n  fatalError()\n  \"\"\""),
        Sample(
            rule: Rules.noDisabledTest, bad: "@Test(.disabled())", good: "button.isDisabled(true)"),
        Sample(rule: Rules.noPrint, bad: "print(1)", good: "blueprint(1); func print(a: Int) {}"),
        Sample(
            rule: Rules.noDate, bad: "let a = Date()",
            good: "let a = Date(timeIntervalSince1970: 1)"),
        Sample(
            rule: Rules.noSharedThread, bad: "DispatchQueue.global().async {}",
            good: "DispatchQueue(label: \"a\").async {}"),
        Sample(rule: Rules.noLeftover, bad: "// TO" + "DO: later", good: "let MASTO" + "DON = 1"),
        Sample(
            rule: Rules.typeNames, bad: "final class LogManager {",
            good: "struct Implicit { // Manager"),
        Sample(
            rule: Rules.documentation, bad: "// A comment\n@inlinable\npublic func f() {}", line: 3,
            good: "/// What it does.\n@inlinable\npublic static func f() {}\npublic import A"),
        Sample(
            rule: Rules.unsafeArgument, bad: "final class A: @unchecked Sendable {}",
            good: "// All state is behind the lock.\nfinal class A: @unchecked Sendable {}"),
    ]

    static func function(lineCount: Int) -> String {
        "    func f(\n        a: Int\n    ) {\n"
            + String(repeating: "        if a { g { \"}\" } }\n", count: lineCount - 4) + "    }\n"
    }

    @Test("A rule finds the breach, on its line, and nothing else", arguments: samples)
    func breach(sample: Sample) {
        let findings = sample.rule.findings(sample.bad, path: sample.path)
        #expect(findings.map(\.line) == [sample.line], "\(findings.report)")
        #expect(findings.allSatisfy { $0.path == sample.path && !$0.what.isEmpty })
        #expect(sample.rule.findings(sample.good, path: sample.path) == [])
    }

    @Test("Every rule has a sample")
    func everyRule() {
        #expect(Self.samples.map(\.rule.name).sorted() == Rules.all.map(\.name).sorted())
    }

    @Test("The command line may print, and the clock's own file may read the clock")
    func exceptions() {
        #expect(Rules.noPrint.findings("print(1)", path: "Sources/daybook/Main.swift") == [])
        #expect(Rules.noDate.findings("Date()", path: "Sources/DaybookLedger/Clock.swift") == [])
    }

    @Test("A requirement without a body is not measured by what follows it")
    func requirement() {
        let text = "protocol A {\n    func f()\n    func g()\n}\n" + Self.function(lineCount: 71)
        #expect(Rules.functionLength.findings(text, path: "a.swift").map(\.line) == [5])
    }

    @Test(
        "An import that is not declared is found, in every spelling",
        arguments: [
            "import DaybookLog", "@testable import DaybookLog", "import struct DaybookLog.Block",
            "internal import DaybookLog", "import DaybookLog.Part",
        ])
    func imports(line: String) {
        let layers = PackageLayers(dependencies: ["Avro": ["CZlib"]])
        let source = SourceText(
            path: "Sources/Avro/A.swift", text: "import CZlib\nimport Foundation\n\(line)\n")
        #expect(layers.findings(in: source).map(\.line) == [3])
    }

    @Test(
        "A step up the ladder is found",
        arguments: [
            ("Avro", "DaybookLog"), ("DaybookServer", "Postgres"), ("DaybookCatalog", "DaybookLog"),
            ("DaybookServer", "DaybookSegments"), ("daybook-bench", "DaybookServer"),
            ("Postgres", "Avro"),
        ])
    func ladder(module: String, dependency: String) {
        let layers = PackageLayers(dependencies: [module: [dependency]])
        #expect(layers.findings().count == 1, "\(layers.findings().report)")
    }

    @Test("A path of one machine is found, a relative one is not")
    func machineTraces() {
        let path = ["", "work", "a"].joined(separator: "/")
        let source = SourceText(path: "a.md", text: "see \(path)\nsee docs\(path)\n")
        #expect(MachineTraces.findings(in: source).map(\.line) == [1])
    }
}
