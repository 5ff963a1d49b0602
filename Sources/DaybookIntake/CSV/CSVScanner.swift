/// One field of a CSV row: what stands between its commas or its quotes.
struct CSVField {
    /// Counted from the buffer's start.
    var start: Int
    var count: Int
    /// Whether quotes in it are doubled.
    var isDoubled: Bool
}

/// Finds the end of one CSV row at a time, and its fields.
///
/// Source: RFC 4180. A line ends with LF or CRLF. A quote inside a field that does not start with
/// one stands for itself. A quote that does not close (before the file or the longest row ends)
/// spoils the line it is on, not all that follows.
struct CSVScanner: ~Copyable {
    enum Fault {
        case openQuote, textAfterQuote, tooLong
    }

    /// The row's fields; only the first `fieldCapacity` are kept, though all are counted.
    let fields: UnsafeMutablePointer<CSVField>
    let fieldCapacity: Int
    private let rowByteCountMax: Int

    private(set) var fieldCount = 0
    /// Where the row ends, without its line's end.
    private(set) var contentEnd = 0
    /// Where the next row starts.
    private(set) var next = 0
    /// How many lines the row takes.
    private(set) var lineCount = 0
    private(set) var fault: Fault?
    /// Whether the row was cut: what comes next, up to the line's end, is the rest of it.
    private(set) var isCut = false

    init(fieldCapacity: Int, rowByteCountMax: Int) {
        self.fieldCapacity = fieldCapacity
        self.rowByteCountMax = rowByteCountMax
        fields = .allocate(capacity: fieldCapacity)
        fields.initialize(
            repeating: CSVField(start: 0, count: 0, isDoubled: false), count: fieldCapacity)
    }

    deinit { fields.deallocate() }

    /// The end of the blank line at `start`: the next line's start, or `start` if it is not blank.
    /// Nil if more bytes have to tell.
    static func blankEnd(
        _ bytes: UnsafeRawBufferPointer, from start: Int, isLast: Bool
    ) -> Int? {
        guard start < bytes.count else { return start }
        if bytes[start] == UInt8(ascii: "\n") { return start + 1 }
        guard bytes[start] == UInt8(ascii: "\r") else { return start }
        guard start + 1 < bytes.count else { return isLast ? start + 1 : nil }
        return bytes[start + 1] == UInt8(ascii: "\n") ? start + 2 : start
    }

    /// Scans the row at `start`; false if its end is not among `bytes` and more may come.
    /// `isRest` says that it is the rest of a row that was cut.
    mutating func scan(
        _ bytes: UnsafeRawBufferPointer, from start: Int, isLast: Bool, isRest: Bool
    ) -> Bool {
        let isLimited = bytes.count - start > rowByteCountMax
        let window = Window(
            bytes: bytes, start: start,
            end: isLimited ? start + rowByteCountMax : bytes.count, isOpen: !isLimited && !isLast)
        fieldCount = 0
        lineCount = 1
        fault = nil
        isCut = false
        if isRest { return endLine(window, .tooLong) }
        var place = start
        while true {
            let isQuoted = place < window.end && bytes[place] == UInt8(ascii: "\"")
            let end = isQuoted ? quoted(window, &place) : plain(window, &place)
            switch end {
            case .field: continue
            case .row: return true
            case .open: return false
            case .fault(let fault): return endLine(window, fault)
            }
        }
    }

    private enum FieldEnd {
        case field, row, open
        case fault(Fault)
    }

    /// The bytes that a row may reach.
    private struct Window {
        let bytes: UnsafeRawBufferPointer
        let start: Int
        let end: Int
        /// Whether the row may end behind `end`, in bytes that have not been read.
        let isOpen: Bool
        /// Whether the file ends at `end`.
        var isFileEnd: Bool { !isOpen && end == bytes.count }
    }

    @inline(__always)
    private mutating func append(_ start: Int, _ end: Int, isDoubled: Bool) {
        if fieldCount < fieldCapacity {
            fields[fieldCount] = CSVField(start: start, count: end &- start, isDoubled: isDoubled)
        }
        fieldCount &+= 1
    }

    /// A field without quotes.
    @inline(__always)
    private mutating func plain(_ window: Window, _ place: inout Int) -> FieldEnd {
        let bytes = window.bytes
        let end = ByteSearch.commaOrFeed(bytes, from: place, to: window.end)
        if end == window.end {
            if window.isOpen { return .open }
            guard window.isFileEnd else { return .fault(.tooLong) }
            contentEnd = withoutReturn(bytes, from: place, to: end)
            append(place, contentEnd, isDoubled: false)
            next = end
            return .row
        }
        if bytes[end] == UInt8(ascii: ",") {
            append(place, end, isDoubled: false)
            place = end &+ 1
            return .field
        }
        contentEnd = withoutReturn(bytes, from: place, to: end)
        append(place, contentEnd, isDoubled: false)
        next = end &+ 1
        return .row
    }

    @inline(__always)
    private func withoutReturn(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int
    {
        end > start && bytes[end &- 1] == UInt8(ascii: "\r") ? end &- 1 : end
    }

    /// A field in quotes.
    private mutating func quoted(_ window: Window, _ place: inout Int) -> FieldEnd {
        let bytes = window.bytes
        let start = place + 1
        var isDoubled = false
        var end = start
        while true {
            end = ByteSearch.first(UInt8(ascii: "\""), bytes, from: end, to: window.end)
            if end == window.end { return window.isOpen ? .open : .fault(.openQuote) }
            guard end + 1 < window.end, bytes[end + 1] == UInt8(ascii: "\"") else { break }
            isDoubled = true
            end += 2
        }
        lineCount += ByteSearch.count(UInt8(ascii: "\n"), bytes, from: start, to: end)
        var after = end + 1
        if after < window.end && bytes[after] == UInt8(ascii: "\r") { after += 1 }
        if after == window.end {
            if window.isOpen { return .open }
            guard window.isFileEnd else { return .fault(.tooLong) }
            append(start, end, isDoubled: isDoubled)
            contentEnd = end + 1
            next = after
            return .row
        }
        switch bytes[after] {
        case UInt8(ascii: ",") where after == end + 1:
            append(start, end, isDoubled: isDoubled)
            place = after + 1
            return .field
        case UInt8(ascii: "\n"):
            append(start, end, isDoubled: isDoubled)
            contentEnd = end + 1
            next = after + 1
            return .row
        default:
            return endBehindQuote(window, from: end + 1)
        }
    }

    /// Ends a row in which something follows a closing quote: at the end of that line.
    private mutating func endBehindQuote(_ window: Window, from place: Int) -> FieldEnd {
        let end = ByteSearch.first(UInt8(ascii: "\n"), window.bytes, from: place, to: window.end)
        if end == window.end && window.isOpen { return .open }
        if end == window.end && !window.isFileEnd { return .fault(.textAfterQuote) }
        fault = .textAfterQuote
        contentEnd = withoutReturn(window.bytes, from: place, to: end)
        next = min(end + 1, window.end)
        return .row
    }

    /// Ends a row that cannot be read at the end of its first line, or where the longest row ends.
    private mutating func endLine(_ window: Window, _ fault: Fault) -> Bool {
        let bytes = window.bytes
        let end = ByteSearch.first(UInt8(ascii: "\n"), bytes, from: window.start, to: window.end)
        self.fault = fault
        lineCount = 1
        if end < window.end {
            contentEnd = withoutReturn(bytes, from: window.start, to: end)
            next = end + 1
            return true
        }
        if window.isOpen { return false }
        isCut = !window.isFileEnd
        lineCount = isCut ? 0 : 1
        contentEnd = isCut ? end : withoutReturn(bytes, from: window.start, to: end)
        next = end
        return true
    }
}
