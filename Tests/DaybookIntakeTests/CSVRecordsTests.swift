import Testing

@testable import DaybookIntake

@Suite("CSV that somebody edited") struct CSVRecordsTests {
    private func records(_ text: [UInt8]) throws -> [(line: Int, fields: [String])] {
        var found: [(line: Int, fields: [String])] = []
        try text.withUnsafeBytes { bytes in
            try CSVRecords.forEach(in: bytes) { found.append(($0, $1)) }
        }
        return found
    }

    @Test("Fields are strings, quotes are undone, lines are counted, blank ones are passed over")
    func fields() throws {
        let text = "\u{FEFF}a,b\r\n\r\n\"x \"\"y\"\"\nz\",2\n,\nlast,ü"
        let found = try records(Array(text.utf8))
        #expect(found.map(\.line) == [1, 3, 5, 6])
        #expect(
            found.map(\.fields) == [["a", "b"], ["x \"y\"\nz", "2"], ["", ""], ["last", "ü"]])
    }

    @Test("What cannot be read is named with its line", arguments: [true, false])
    func faults(isQuote: Bool) {
        let bytes = isQuote ? Array("a,b\n1,\"2\n".utf8) : Array("a,b\n1,".utf8) + [0xFF]
        let what =
            isQuote
            ? "the record is no CSV: see that its quotes close" : "field 2 is not UTF-8"
        #expect(throws: CSVRecords.Fault(line: 2, what: what)) { try records(bytes) }
    }
}
