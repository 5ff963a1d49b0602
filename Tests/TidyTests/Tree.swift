import Foundation
import TestSupport

/// The files of the package that the rules walk: those git tracks or would track.
enum Tree {
    /// Read once: every rule walks them.
    private static let swift = Result {
        try files { path in
            (path.hasPrefix("Sources/") || path.hasPrefix("Tests/")) && path.hasSuffix(".swift")
        }
    }

    static func swiftFiles() throws -> [SourceText] { try swift.get() }

    static func otherCode() throws -> [SourceText] {
        let endings = [".h", ".c", ".cpp", ".sql", ".py", ".lua"]
        return try files { path in
            path.hasPrefix("script/") || path.hasPrefix(".ci/")
                || endings.contains(where: path.hasSuffix)
        }
    }

    static func trackedText() throws -> [SourceText] {
        try files { _ in true }
    }

    /// Text files only: one that is not UTF-8 is data.
    private static func files(where wanted: (String) -> Bool) throws -> [SourceText] {
        let list = try runTool(
            "git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            folder: packageRoot)
        guard list.status == 0 else { throw TreeError(message: list.errorText) }
        return list.text.split(separator: "\0").map(String.init).filter(wanted).compactMap { path in
            guard let data = FileManager.default.contents(atPath: "\(packageRoot)/\(path)"),
                !data.contains(0), let text = String(data: data, encoding: .utf8)
            else { return nil }
            return SourceText(path: path, text: text)
        }
    }
}

/// Git could not list the files.
struct TreeError: Error {
    let message: String
}

/// Traces of the machine that a text was written on.
enum MachineTraces {
    /// Put together here, so that this file does not hold what it looks for.
    private static let traces = [
        ["", "work", ""].joined(separator: "/"), ["", "farm", ""].joined(separator: "/"),
        ["", "opt", "wheels"].joined(separator: "/"), "find" + "-links", "index" + "-url",
    ]

    static func findings(in source: SourceText) -> [Finding] {
        source.lines.enumerated().compactMap { index, line in
            // A path begins where no other path goes on: `a/work/b` is a relative one.
            let found = traces.first { trace in
                line.ranges(of: trace).contains { range in
                    line[..<range.lowerBound].last.map { !$0.isLetter && !$0.isNumber } ?? true
                }
            }
            return found.map {
                Finding(path: source.path, line: index + 1, what: "\($0) is of one machine")
            }
        }
    }
}
