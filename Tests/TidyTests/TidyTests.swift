import Foundation
import TestSupport
import Testing

/// The house rules, held over the whole tree. A finding reads `path:line: what is wrong`.
@Suite struct TidyTests {
    @Test("Every Swift file keeps the rule", arguments: Rules.all)
    func swiftFiles(rule: Rule) throws {
        let findings = try Tree.swiftFiles().flatMap(rule.check)
        expectNone(findings)
    }

    @Test("Scripts, headers and queries keep to the columns and lengths too")
    func otherFiles() throws {
        let findings = try Tree.otherCode().flatMap { source in
            [Rules.columns, Rules.fileLength, Rules.trailingSpace].flatMap { $0.check(source) }
        }
        expectNone(findings)
    }

    @Test("No module imports what its target does not declare, or what stands above it")
    func layers() throws {
        let layers = try PackageLayers.ofThisPackage()
        let findings = try layers.findings() + Tree.swiftFiles().flatMap(layers.findings(in:))
        expectNone(findings)
    }

    @Test("The architecture's table has the modules in the order that the layers test holds")
    func architecture() throws {
        let path = "\(packageRoot)/docs/architecture.md"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }
        let names = rows.compactMap { $0.split(separator: "`").dropFirst().first.map(String.init) }
        #expect(names.filter(PackageLayers.ladder.contains) == PackageLayers.ladder)
    }

    @Test("No tracked text names a path or a package mirror of the machine it was written on")
    func machinePaths() throws {
        let findings = try Tree.trackedText().flatMap(MachineTraces.findings)
        expectNone(findings)
    }
}

private func expectNone(_ findings: [Finding], at place: SourceLocation = #_sourceLocation) {
    if !findings.isEmpty { Issue.record("\(findings.report)", sourceLocation: place) }
}

extension [Finding] {
    /// One finding a line.
    var report: String { map(\.description).joined(separator: "\n") }
}
