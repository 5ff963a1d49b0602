import Testing

/// One breach of a house rule.
struct Finding: Equatable, CustomStringConvertible {
    let path: String
    /// From 1.
    let line: Int
    let what: String

    var description: String { "\(path):\(line): \(what)" }
}

/// A house rule over one Swift file.
struct Rule: Sendable, CustomTestStringConvertible {
    /// What the rule holds, as a sentence.
    let name: String
    let check: @Sendable (SourceText) -> [Finding]

    var testDescription: String { name }

    func findings(_ text: String, path: String) -> [Finding] {
        check(SourceText(path: path, text: text))
    }
}

extension Rule {
    /// A rule over each line of code by itself; `what` says what is wrong with it, if anything.
    static func line(
        _ name: String, _ what: @escaping @Sendable (_ path: String, _ code: String) -> String?
    ) -> Rule {
        Rule(name: name) { source in
            source.code.enumerated().compactMap { index, code in
                what(source.path, code).map {
                    Finding(path: source.path, line: index + 1, what: $0)
                }
            }
        }
    }
}
