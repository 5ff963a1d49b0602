/// Finds what matters in the text of a query: parameters (`:name`), the ends of statements, and
/// where anything else begins. What stands in quotes, dollar quotes and comments is passed over.
///
/// Source: PostgreSQL documentation, 4.1 "Lexical Structure", with `standard_conforming_strings`.
struct QueryLexer {
    enum Token: Equatable {
        /// `:name`, the colon included.
        case parameter(Range<Int>)
        /// `$1`, which stands for a parameter already.
        case positional(Range<Int>)
        /// `;`
        case semicolon(Int)
        /// Any other piece of a statement: a word, a literal, an operator.
        case other(Int)
        /// A quote or comment that does not end; the text is over.
        case unterminated(Int)
    }

    private let text: [UInt8]
    private var place: Int

    /// A lexer of UTF-8.
    init(_ text: [UInt8]) {
        self.text = text
        place = 0
    }

    /// The next token; nil at the end.
    mutating func next() -> Token? {
        guard let unended = skipSpace() else {
            guard place < text.count else { return nil }
            return token()
        }
        return .unterminated(unended)
    }

    private mutating func token() -> Token {
        let start = place
        let byte = text[start]
        switch byte {
        case UInt8(ascii: ";"):
            place += 1
            return .semicolon(start)
        case UInt8(ascii: "'"), UInt8(ascii: "\""):
            return quoted(from: start, hasEscapes: false)
        case UInt8(ascii: "$"):
            return dollar(start)
        case UInt8(ascii: ":"):
            return colon(start)
        case _ where QueryLexer.startsWord(byte):
            skipWord()
            let isEscapeString = place == start + 1 && byte | 0x20 == UInt8(ascii: "e")
            if isEscapeString, at(place) == UInt8(ascii: "'") {
                return quoted(from: start, hasEscapes: true)
            }
        case _ where QueryLexer.isDigit(byte):
            skipWord()
        default:
            place += 1
        }
        return .other(start)
    }

    /// Passes over white space and comments; where a comment began that does not end.
    private mutating func skipSpace() -> Int? {
        while let byte = at(place) {
            if byte == UInt8(ascii: "-"), at(place + 1) == UInt8(ascii: "-") {
                while let byte = at(place), byte != UInt8(ascii: "\n") { place += 1 }
            } else if byte == UInt8(ascii: "/"), at(place + 1) == UInt8(ascii: "*") {
                let start = place
                guard skipBlockComment() else { return start }
            } else if byte == 0x20 || (0x09...0x0D).contains(byte) {
                place += 1
            } else {
                return nil
            }
        }
        return nil
    }

    /// Block comments nest.
    private mutating func skipBlockComment() -> Bool {
        var depth = 0
        while let byte = at(place) {
            switch (byte, at(place + 1)) {
            case (UInt8(ascii: "/"), UInt8(ascii: "*")):
                depth += 1
                place += 2
            case (UInt8(ascii: "*"), UInt8(ascii: "/")):
                depth -= 1
                place += 2
                if depth == 0 { return true }
            default: place += 1
            }
        }
        return false
    }

    /// A string or a quoted name; a doubled quote is one of its characters.
    private mutating func quoted(from start: Int, hasEscapes: Bool) -> Token {
        let quote = text[place]
        place += 1
        while let byte = at(place) {
            place += 1
            if byte == UInt8(ascii: "\\"), hasEscapes {
                place += 1
            } else if byte == quote {
                guard at(place) == quote else { return .other(start) }
                place += 1
            }
        }
        return .unterminated(start)
    }

    /// `$tag$ … $tag$`, `$1`, or a stray dollar.
    private mutating func dollar(_ start: Int) -> Token {
        place += 1
        if let byte = at(place), QueryLexer.isDigit(byte) {
            while let byte = at(place), QueryLexer.isDigit(byte) { place += 1 }
            return .positional(start..<place)
        }
        var end = place
        if let byte = at(end), QueryLexer.startsWord(byte) {
            while let byte = at(end), QueryLexer.continuesTag(byte) { end += 1 }
        }
        guard at(end) == UInt8(ascii: "$") else { return .other(start) }
        let delimiter = text[start...end]
        place = end + 1
        while place + delimiter.count <= text.count {
            if text[place..<(place + delimiter.count)].elementsEqual(delimiter) {
                place += delimiter.count
                return .other(start)
            }
            place += 1
        }
        place = text.count
        return .unterminated(start)
    }

    /// `::` and `:=` are Postgres's own.
    private mutating func colon(_ start: Int) -> Token {
        place += 1
        if at(place) == UInt8(ascii: ":") || at(place) == UInt8(ascii: "=") {
            place += 1
            return .other(start)
        }
        guard let byte = at(place), QueryLexer.startsWord(byte) else { return .other(start) }
        while let byte = at(place), QueryLexer.continuesTag(byte) { place += 1 }
        return .parameter(start..<place)
    }

    /// A name or number to its end: a dollar inside does not begin a quote.
    private mutating func skipWord() {
        while let byte = at(place),
            QueryLexer.continuesTag(byte) || byte == UInt8(ascii: "$")
        { place += 1 }
    }

    private func at(_ place: Int) -> UInt8? { place < text.count ? text[place] : nil }

    private static func startsWord(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || byte == UInt8(ascii: "_") || byte >= 0x80
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func continuesTag(_ byte: UInt8) -> Bool { startsWord(byte) || isDigit(byte) }
}
