/// The rules of docs/style that a program can hold; each is proven able to fail in RuleTests.
enum Rules {
    static let columnLimit = 100
    static let fileLineLimit = 600
    static let functionLineLimit = 70

    static let all: [Rule] = [
        columns, fileLength, functionLength, trailingSpace, noTry, noFatalError, noDisabledTest,
        noPrint, noDate, noSharedThread, noLeftover, typeNames, documentation, unsafeArgument,
    ]

    static let columns = Rule(name: "No line is over 100 columns") { source in
        source.lines.enumerated().compactMap { index, line in
            let count = line.unicodeScalars.count
            return count <= columnLimit
                ? nil
                : Finding(path: source.path, line: index + 1, what: "\(count) columns")
        }
    }

    static let fileLength = Rule(name: "No file is over 600 lines") { source in
        let count = source.lines.count - (source.lines.last == "" ? 1 : 0)
        return count <= fileLineLimit
            ? [] : [Finding(path: source.path, line: count, what: "a file of \(count) lines")]
    }

    static let trailingSpace = Rule(name: "No line ends in a space") { source in
        source.lines.enumerated().compactMap { index, line in
            line.last?.isWhitespace != true
                ? nil : Finding(path: source.path, line: index + 1, what: "space at the end")
        }
    }

    static let noTry = Rule.line("Nothing is tried by force") { _, code in
        code.contains("try!") ? "try! turns an error into a crash" : nil
    }

    static let noFatalError = Rule.line("A broken invariant says so with precondition") { _, code in
        code.containsCall("fatalError") ? "fatalError; use precondition with a sentence" : nil
    }

    static let noDisabledTest = Rule.line("No test is switched off") { _, code in
        code.contains(".disabled(") ? "a test that does not run shows nothing" : nil
    }

    static let noPrint = Rule.line("Only the command line prints") { path, code in
        let mayPrint = ["Sources/daybook/", "Sources/daybook-bench/"]
        guard !mayPrint.contains(where: path.hasPrefix), code.containsCall("print") else {
            return nil
        }
        return "print outside the command line"
    }

    static let noDate = Rule.line("Only the clock reads the clock") { path, code in
        guard !path.hasSuffix("Clock.swift") else { return nil }
        let readings = ["Date()", "Date.now", "CLOCK_REALTIME", "gettimeofday("]
        return readings.first(where: code.contains).map { "\($0) outside the clock's own file" }
    }

    static let noSharedThread = Rule.line("Nothing takes threads of Swift's tasks") { _, code in
        let shared = ["DispatchQueue.global(", "queue: .global(", "attributes: .concurrent"]
        guard shared.contains(where: code.contains) else { return nil }
        return "a queue that shares its threads with the cooperative pool; take a serial one"
    }

    static let noLeftover = Rule(name: "Nothing is left for later") { source in
        source.lines.enumerated().compactMap { index, line in
            let words = ["TO" + "DO", "FIX" + "ME"]
            guard let word = words.first(where: line.containsWord) else { return nil }
            return Finding(path: source.path, line: index + 1, what: "\(word) left for later")
        }
    }

    static let typeNames = Rule.line("A type's name says what it is") { _, code in
        let words = code.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
        let kinds: Set<Substring> = ["class", "struct", "enum", "protocol", "actor", "typealias"]
        for (kind, name) in zip(words, words.dropFirst()) where kinds.contains(kind) {
            if let empty = emptyWord(in: name) { return "\(name): \(empty) says nothing" }
        }
        return nil
    }

    /// The part of a camel-case name that says nothing about the thing, if there is one.
    private static func emptyWord(in name: Substring) -> String? {
        let banned = ["Manager", "Helper", "Helpers", "Util", "Utils", "Impl", "Misc"]
        var words: [String] = []
        for character in name {
            if character.isUppercase || words.isEmpty { words.append("") }
            words[words.count - 1].append(character)
        }
        return banned.first(where: words.contains)
    }

    static let unsafeArgument = Rule(name: "Unsafe code stands beside its argument") { source in
        let words = [
            "@unchecked Sendable", "nonisolated(unsafe)", "unowned(unsafe)", "unsafeBitCast(",
            "unsafeDowncast(",
        ]
        return source.code.enumerated().compactMap { index, code in
            guard let word = words.first(where: code.contains) else { return nil }
            let beside = max(0, index - 3)...index
            return source.hasComment[beside].contains(true)
                ? nil
                : Finding(
                    path: source.path, line: index + 1,
                    what: "\(word) without a comment that gives its argument")
        }
    }
}

extension String {
    /// Whether a function of this very name is called: not a longer name, not its declaration.
    func containsCall(_ name: String) -> Bool {
        ranges(of: name + "(").contains { range in
            let before = self[..<range.lowerBound]
            return before.last.map { !$0.isLetter && !$0.isNumber && $0 != "_" } ?? true
                && !before.hasSuffix("func ")
        }
    }

    /// Whether the word stands in the line by itself.
    func containsWord(_ word: String) -> Bool {
        ranges(of: word).contains { range in
            let around = [self[..<range.lowerBound].last, self[range.upperBound...].first]
            return around.allSatisfy { $0.map { !$0.isLetter } ?? true }
        }
    }
}
