/// The records of a CSV text as strings: for small tables that somebody edited, not for history.
public struct CSVRecords {
    /// A record that cannot be read.
    public struct Fault: Error, Equatable, CustomStringConvertible {
        /// The line that it starts at, from 1.
        public let line: Int
        /// What is wrong with it.
        public let what: String

        /// The line and what is wrong there.
        public var description: String { "line \(line): \(what)" }
    }

    private static let fieldCountMax = 2048
    private static let recordByteCountMax = 16 << 20

    /// Calls `body` with each record's line, from 1, and its fields. Blank lines are passed over,
    /// and a byte order mark.
    ///
    /// - Throws: `Fault` for the first record that is malformed or not UTF-8, and what `body`
    ///   throws.
    public static func forEach(
        in bytes: UnsafeRawBufferPointer, _ body: (_ line: Int, _ fields: [String]) throws -> Void
    ) throws {
        var scanner = CSVScanner(
            fieldCapacity: fieldCountMax, rowByteCountMax: recordByteCountMax)
        var place = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var line = 1
        while place < bytes.count {
            let end = CSVScanner.blankEnd(bytes, from: place, isLast: true) ?? place
            if end > place {
                place = end
                line += 1
                continue
            }
            let isWhole = scanner.scan(bytes, from: place, isLast: true, isRest: false)
            precondition(isWhole, "the last bytes end a record")
            if scanner.fault != nil || scanner.fieldCount > fieldCountMax {
                throw Fault(
                    line: line, what: "the record is no CSV: see that its quotes close")
            }
            var fields: [String] = []
            for index in 0..<scanner.fieldCount {
                guard let text = text(of: scanner.fields[index], in: bytes) else {
                    throw Fault(line: line, what: "field \(index + 1) is not UTF-8")
                }
                fields.append(text)
            }
            try body(line, fields)
            line += scanner.lineCount
            place = scanner.next
        }
    }

    private static func text(of field: CSVField, in bytes: UnsafeRawBufferPointer) -> String? {
        let place = field.start..<(field.start + field.count)
        let text = String(validating: bytes[place], as: UTF8.self)
        return field.isDoubled ? text?.replacing("\"\"", with: "\"") : text
    }
}
