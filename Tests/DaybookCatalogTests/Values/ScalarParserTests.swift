import DaybookCatalog
import Testing

/// The value that a text is read as, or the fault, in few letters.
private func read(_ text: String, _ type: ColumnType) -> String {
    do throws(ScalarFault) {
        return try ScalarValue(text: text, type: type).text(type: type)
    } catch {
        return "\(error)"
    }
}

@Suite("Values from text")
struct ScalarParserTests {
    static let manyDigits = String(repeating: "7", count: 400)

    @Test(
        "An integer is an optional minus and digits that fit 64 bits",
        arguments: [
            ("0", "0"), ("-0", "0"), ("7", "7"), ("-12", "-12"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "outOfRange"), ("-9223372036854775809", "outOfRange"),
            ("999999999999999999", "999999999999999999"),
            ("9999999999999999999", "outOfRange"), (manyDigits, "outOfRange"),
            (manyDigits + "x", "wrongType"), ("", "wrongType"), ("-", "wrongType"),
            ("+1", "wrongType"), ("01", "wrongType"), ("-01", "wrongType"), ("1.0", "wrongType"),
            ("1e3", "wrongType"), (" 1", "wrongType"), ("1 ", "wrongType"), ("١", "wrongType"),
            ("0x10", "wrongType"), ("--1", "wrongType"), ("1_000", "wrongType"),
        ])
    func integers(text: String, expected: String) {
        #expect(read(text, .integer) == expected)
    }

    @Test(
        "A number is finite and written as JSON writes it",
        arguments: [
            ("0", "0.0"), ("-0", "0.0"), ("-0.0", "0.0"), ("-0e5", "0.0"), ("12.50", "12.5"),
            ("1e2", "100.0"), ("1E+2", "100.0"), ("1e-2", "0.01"), ("0.1", "0.1"),
            ("123456789012345678901234567890", "1.2345678901234568e+29"),
            ("9007199254740993", "9007199254740992.0"), ("5e-324", "5e-324"), ("1e-400", "0.0"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"), ("1e309", "outOfRange"),
            (manyDigits, "outOfRange"), ("1e99999999999999999999", "outOfRange"),
            ("", "wrongType"), (".5", "wrongType"), ("5.", "wrongType"), ("+5", "wrongType"),
            ("05", "wrongType"), ("1e", "wrongType"), ("1e+", "wrongType"), ("nan", "wrongType"),
            ("inf", "wrongType"), ("0x1p3", "wrongType"), ("1,5", "wrongType"), ("1 ", "wrongType"),
        ])
    func numbers(text: String, expected: String) {
        #expect(read(text, .number) == expected)
    }

    @Test(
        "A decimal keeps its places; zeros behind them are allowed, other digits are not",
        arguments: [
            ("0", "0.00"), ("-0", "0.00"), ("1.5", "1.50"), ("-1.50", "-1.50"),
            ("-0.05", "-0.05"), ("999.99", "999.99"), ("12.3000000", "12.30"),
            ("12.345", "outOfRange"), ("1000", "outOfRange"), (manyDigits, "outOfRange"),
            ("0." + manyDigits, "outOfRange"), ("1e2", "invalid"), ("01.5", "invalid"),
            (".5", "invalid"), ("5.", "invalid"), ("", "invalid"), ("a", "invalid"),
            ("+1", "invalid"), ("1.5 ", "invalid"),
        ])
    func decimals(text: String, expected: String) {
        #expect(read(text, .decimal(precision: 5, scale: 2)) == expected)
    }

    @Test("The widest decimal has 38 digits, and one of only a fraction begins with 0")
    func wideDecimals() {
        let nines = String(repeating: "9", count: 38)
        #expect(read(nines, .decimal(precision: 38, scale: 0)) == nines)
        #expect(read("-\(nines)", .decimal(precision: 38, scale: 0)) == "-\(nines)")
        #expect(read("0.\(nines)", .decimal(precision: 38, scale: 38)) == "0.\(nines)")
        #expect(read("1", .decimal(precision: 38, scale: 38)) == "outOfRange")
        #expect(read("1\(nines)", .decimal(precision: 38, scale: 0)) == "outOfRange")
    }

    @Test(
        "A time has an offset, up to 6 digits of a second, and exists",
        arguments: [
            ("2021-11-07T02:48:42Z", "2021-11-07T02:48:42Z"),
            ("2021-11-07t02:48:42z", "2021-11-07T02:48:42Z"),
            ("2021-11-07 02:48:42Z", "2021-11-07T02:48:42Z"),
            ("2021-11-07T02:48:42.5+01:30", "2021-11-07T01:18:42.5Z"),
            ("2021-12-31T23:30:00-01:00", "2022-01-01T00:30:00Z"),
            ("2021-11-07T02:48:42.000001Z", "2021-11-07T02:48:42.000001Z"),
            ("2021-11-07T02:48:42.120000Z", "2021-11-07T02:48:42.12Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("0001-01-01T00:00:00+00:01", "outOfRange"), ("0000-01-01T00:00:00Z", "outOfRange"),
            ("9999-12-31T23:59:59-00:01", "outOfRange"),
            ("2021-11-07T02:48:42.1234567Z", "invalid"), ("2021-11-07T02:48:60Z", "invalid"),
            ("2021-11-07T24:00:00Z", "invalid"), ("2021-11-07T02:60:00Z", "invalid"),
            ("2021-11-07T02:48:42", "invalid"), ("2021-11-07T02:48Z", "invalid"),
            ("2021-11-07T02:48:42.Z", "invalid"), ("2021-11-07T02:48:42+1:00", "invalid"),
            ("2021-11-07T02:48:42+0100", "invalid"), ("2021-11-07T02:48:42+24:00", "invalid"),
            ("2021-11-07T02:48:42Zx", "invalid"), ("2021-11-07_02:48:42Z", "invalid"),
            ("2021-02-29T00:00:00Z", "invalid"), ("2021-13-01T00:00:00Z", "invalid"),
            ("2021-00-01T00:00:00Z", "invalid"), ("2021-01-00T00:00:00Z", "invalid"),
            ("20211107T024842Z", "invalid"), ("", "invalid"), ("now", "invalid"),
        ])
    func timestamps(text: String, expected: String) {
        #expect(read(text, .timestamp) == expected)
    }

    @Test(
        "A date has ten characters and exists",
        arguments: [
            ("1970-01-01", "1970-01-01"), ("2000-02-29", "2000-02-29"),
            ("2024-02-29", "2024-02-29"), ("1900-02-29", "invalid"), ("2021-04-31", "invalid"),
            ("0001-01-01", "0001-01-01"), ("9999-12-31", "9999-12-31"),
            ("0000-12-31", "outOfRange"), ("2021-1-1", "invalid"), ("2021/01/01", "invalid"),
            ("21-01-01", "invalid"), ("2021-01-01Z", "invalid"), ("", "invalid"),
        ])
    func dates(text: String, expected: String) {
        #expect(read(text, .date) == expected)
    }

    @Test(
        "A boolean is true or false, a UUID 36 characters in either case",
        arguments: [
            ("true", ColumnType.boolean, "true"), ("false", .boolean, "false"),
            ("True", .boolean, "wrongType"), ("1", .boolean, "wrongType"),
            ("", .boolean, "wrongType"), ("truex", .boolean, "wrongType"),
            (
                "0190A3C4-7d2e-7B3F-8a41-9F0e1D2c3B4a", .uuid,
                "0190a3c4-7d2e-7b3f-8a41-9f0e1d2c3b4a"
            ),
            ("ffffffff-ffff-ffff-ffff-ffffffffffff", .uuid, "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            ("0190a3c47d2e7b3f8a419f0e1d2c3b4a", .uuid, "invalid"),
            ("{0190a3c4-7d2e-7b3f-8a41-9f0e1d2c3b4a}", .uuid, "invalid"),
            ("0190a3c4-7d2e-7b3f-8a41-9f0e1d2c3b4g", .uuid, "invalid"), ("", .uuid, "invalid"),
        ])
    func booleansAndUUIDs(text: String, type: ColumnType, expected: String) {
        #expect(read(text, type) == expected)
    }
}
