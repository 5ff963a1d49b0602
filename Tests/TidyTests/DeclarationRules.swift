extension Rules {
    static let functionLength = Rule(name: "No function is over 70 lines") { source in
        source.code.indices.compactMap { start in
            guard startsFunction(source.code[start]),
                let end = lastLine(ofDeclarationAt: start, in: source.code)
            else { return nil }
            let count = end - start + 1
            return count <= functionLineLimit
                ? nil
                : Finding(path: source.path, line: start + 1, what: "a function of \(count) lines")
        }
    }

    static let documentation = Rule(name: "What is public says what it is") { source in
        let libraries = ["Sources/", "Tests/TestSupport/"]
        guard libraries.contains(where: source.path.hasPrefix) else { return [] }
        return source.code.indices.compactMap { index in
            guard isPublicDeclaration(source.code[index]) else { return nil }
            var above = index - 1
            while above >= 0, stands(between: source, at: above) { above -= 1 }
            let isDocumented = above >= 0 && isDocumentation(source.lines[above])
            return isDocumented
                ? nil
                : Finding(
                    path: source.path, line: index + 1,
                    what: "public, without a doc comment: \(source.lines[index].trimmed)")
        }
    }

    private static let modifiers: Set<String> = [
        "public", "open", "package", "internal", "fileprivate", "private", "static", "final",
        "override", "mutating", "nonmutating", "consuming", "borrowing", "nonisolated", "isolated",
        "required", "convenience", "indirect", "dynamic", "class", "lazy", "weak", "distributed",
    ]

    /// The words of a declaration up to its first that is no modifier, attributes left out.
    private static func leadingWords(_ code: String) -> (modifiers: [String], keyword: String) {
        var found: [String] = []
        for word in code.trimmed.split(separator: " ").map(String.init) {
            if word.hasPrefix("@") { continue }
            let bare = String(word.prefix { $0 != "(" })
            if bare == "class", found.contains("class") { return (found, "class") }
            guard modifiers.contains(bare) else { return (found, word) }
            found.append(bare)
        }
        return (found, "")
    }

    private static func startsFunction(_ code: String) -> Bool {
        let keyword = leadingWords(code).keyword
        return ["func", "deinit"].contains(keyword)
            || ["init(", "init?(", "init<", "init!("].contains(where: keyword.hasPrefix)
            || keyword == "init"
    }

    private static func isPublicDeclaration(_ code: String) -> Bool {
        let (modifiers, keyword) = leadingWords(code)
        guard modifiers.contains("public") || modifiers.contains("open") else { return false }
        return keyword != "import" && keyword != "extension"
    }

    /// Whether a line may stand between a declaration and its doc comment: an attribute, a
    /// condition, a plain comment.
    private static func stands(between source: SourceText, at index: Int) -> Bool {
        let line = source.lines[index].trimmed
        return line.hasPrefix("@") && leadingWords(source.code[index]).keyword.isEmpty
            || line.hasPrefix("#if") || line.hasPrefix("//") && !line.hasPrefix("///")
    }

    private static func isDocumentation(_ line: String) -> Bool {
        line.trimmed.hasPrefix("///") || line.trimmed.hasSuffix("*/")
    }

    /// The line of the closing brace, or nil for a requirement without a body.
    private static func lastLine(ofDeclarationAt start: Int, in code: [String]) -> Int? {
        var depth = 0
        var parentheses = 0
        for index in code[start...].indices {
            let endsRequirement =
                index > start && depth == 0 && parentheses == 0
                && (code[index].trimmed.isEmpty || startsFunction(code[index])
                    || ["var", "let", "associatedtype"].contains(leadingWords(code[index]).keyword))
            if endsRequirement { return nil }
            for character in code[index].utf8 {
                switch character {
                case UInt8(ascii: "("), UInt8(ascii: "["): parentheses += 1
                case UInt8(ascii: ")"), UInt8(ascii: "]"): parentheses -= 1
                case UInt8(ascii: "{"): depth += 1
                case UInt8(ascii: "}"):
                    depth -= 1
                    if depth < 0 { return nil }
                    if depth == 0, parentheses == 0 { return index }
                default: break
                }
            }
        }
        return nil
    }
}

extension String {
    /// The text without the spaces around it.
    var trimmed: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }),
            let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}
