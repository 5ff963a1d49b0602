import Foundation
import TestSupport
import Testing

/// A session at a terminal as a page shows it: lines that begin with `$ ` are typed, with what
/// belongs to them up to the next; the others are what comes back. `…` stands for anything.
private struct TerminalSession {
    struct Step {
        var command: String
        var output: String
    }

    private(set) var steps: [Step] = []

    /// The blocks, indented by four spaces, of a section of a page.
    init(page: String, section: String) throws {
        let text = try String(contentsOfFile: "\(packageRoot)/docs/\(page)", encoding: .utf8)
        let sections = text.components(separatedBy: "\n## ").dropFirst()
        let found = try #require(sections.first { $0.hasPrefix("\(section)\n") })
        var heredocEnd: Substring?
        var goesOn = false
        for line in found.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("    ") || heredocEnd != nil else { continue }
            let line = line.dropFirst(4)
            if let end = heredocEnd {
                steps[steps.count - 1].command += "\n\(line)"
                if line == end { heredocEnd = nil }
            } else if line.hasPrefix("$ ") {
                steps.append(Step(command: String(line.dropFirst(2)), output: ""))
            } else if goesOn {
                steps[steps.count - 1].command += "\n\(line)"
            } else {
                try #require(!steps.isEmpty, "output before any command: \(line)")
                steps[steps.count - 1].output += "\(line)\n"
                continue
            }
            if heredocEnd == nil, let mark = line.range(of: "<< '"), line.hasSuffix("'") {
                heredocEnd = line[mark.upperBound...].dropLast()
            }
            goesOn = line.hasSuffix("\\") || isOpen(steps[steps.count - 1].command)
        }
    }

    /// Whether a single quote is still open; a document that was typed in is left out.
    private func isOpen(_ command: String) -> Bool {
        let typed = command.split(separator: "\n").first.map { $0.contains("<< '") } ?? false
        return !typed && !command.count { $0 == "'" }.isMultiple(of: 2)
    }

    /// What the shell is given: each step, and a mark before it.
    func script(mark: String) -> String {
        let steps = steps.enumerated().map { "echo '\(mark)\($0.offset)'\n\($0.element.command)\n" }
        return "set -euo pipefail\nexec 2>&1\n" + steps.joined() + "echo '\(mark)\(steps.count)'\n"
    }
}

extension Integration {
    @Suite("The page about the dictionary") struct DictionaryPage {
        /// Whether `found` is what the page says, in which `…` is anything within a line.
        private func matches(_ found: String, _ expected: String) -> Bool {
            let lines = (found.split(separator: "\n"), expected.split(separator: "\n"))
            guard lines.0.count == lines.1.count else { return false }
            return zip(lines.0, lines.1).allSatisfy { found, expected in
                var rest = trimmed(found)
                let parts = trimmed(expected).components(separatedBy: "…")
                guard rest.hasPrefix(parts[0]) else { return false }
                rest = rest.dropFirst(parts[0].count)
                for part in parts.dropFirst() {
                    let end = rest.endIndex..<rest.endIndex
                    guard let range = part.isEmpty ? end : rest.range(of: part) else {
                        return false
                    }
                    rest = rest[range.upperBound...]
                }
                return rest.isEmpty
            }
        }

        /// psql fills its columns up with spaces.
        private func trimmed(_ line: Substring) -> Substring {
            var line = line
            while line.last == " " { line.removeLast() }
            return line
        }

        @Test("From an empty folder to a queried row, as the page types it and shows it")
        func shop() async throws {
            let session = try TerminalSession(
                page: "dictionary.md", section: "A shop, from an empty folder to a report")
            let folder = try TemporaryFolder()
            // The program is called by its name; it finds what is shipped by its real path.
            try FileManager.default.createDirectory(
                atPath: folder.path("bin"), withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                atPath: folder.path("bin/daybook"), withDestinationPath: daybookBinary)
            let mark = "--8<-- "
            let port = try freePort()
            let script = session.script(mark: mark).replacing(
                "127.0.0.1:8080", with: "127.0.0.1:\(port)")
            #expect(script.contains(":\(port)"))
            let typed = try folder.write(script, to: "typed.sh")
            let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
            let result = try runTool(
                "bash", [typed],
                environment: ["PATH": "\(folder.path("bin")):\(path)"], folder: folder.path,
                timeoutSeconds: 120)
            #expect(result.status == 0, "\(result.text.suffix(2_000))")
            let outputs = result.text.components(separatedBy: mark).dropFirst().map {
                String($0.drop { $0 != "\n" }.dropFirst())
            }
            try #require(outputs.count == session.steps.count + 1, "\(result.text.suffix(2_000))")
            for (step, output) in zip(session.steps, outputs) {
                let found = output.replacing("\r\n", with: "\n")
                #expect(
                    matches(found, step.output),
                    "$ \(step.command)\ngives\n\(found)\nand the page says\n\(step.output)")
            }
            #expect(session.steps.count > 10)
        }
    }
}
