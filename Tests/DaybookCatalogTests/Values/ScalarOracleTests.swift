import DaybookCatalog
import Foundation
import TestSupport
import Testing

/// Runs a Python script over lines; one line of output for each.
private func python(_ script: String, _ lines: [String]) throws -> [String] {
    let result = try runTool(
        pythonPath, ["-c", script], input: Data(lines.joined(separator: "\n").utf8))
    try #require(result.status == 0, "\(result.errorText)")
    let answers = result.text.split(separator: "\n").map(String.init)
    try #require(answers.count == lines.count)
    return answers
}

/// Values by Python's standard library, for the same random texts. Right in form nearly always,
/// so that it is the ranges that decide.
@Suite("Values agree with Python")
struct ScalarOracleTests {
    private static let sampleCount = 4_000

    private func samples(_ make: (inout SeededGenerator) -> String) -> (UInt64, [String]) {
        var generator = SeededGenerator()
        let seed = generator.seed
        return (seed, (0..<Self.sampleCount).map { _ in make(&generator) })
    }

    private func check(
        _ type: ColumnType, script: String, _ make: (inout SeededGenerator) -> String,
        _ show: (ScalarValue) -> String
    ) throws {
        let (seed, texts) = samples(make)
        var accepted = 0
        for (text, expected) in zip(texts, try python(script, texts)) {
            let value = try? ScalarValue(text: text, type: type)
            #expect(value.map(show) ?? "refused" == expected, "\(text), seed \(seed)")
            accepted += value == nil ? 0 : 1
        }
        #expect(accepted > Self.sampleCount / 4 && accepted < Self.sampleCount, "seed \(seed)")
    }

    private static func digits(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    private static func date(_ generator: inout SeededGenerator) -> String {
        let years = [0...9999, 1...4, 1896...1904, 1969...1972, 1999...2001, 9998...9999]
        let year = Int.random(in: years.randomElement(using: &generator)!, using: &generator)
        let month = Int.random(in: 0...13, using: &generator)
        let day = Int.random(in: 0...32, using: &generator)
        return "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))"
    }

    private static func time(_ generator: inout SeededGenerator) -> String {
        let hour = digits(.random(in: 0...24, using: &generator), 2)
        let minute = digits(.random(in: 0...60, using: &generator), 2)
        let second = digits(.random(in: 0...60, using: &generator), 2)
        let width = [0, 3, 6].randomElement(using: &generator)!
        let fraction = digits(.random(in: 0..<1000, using: &generator), width)
        let shown = width == 0 ? "" : ".\(fraction)"
        let sign = ["+", "-"].randomElement(using: &generator)!
        let hours = digits(.random(in: 0...24, using: &generator), 2)
        let minutes = digits(.random(in: 0...59, using: &generator), 2)
        let offset = Bool.random(using: &generator) ? "Z" : "\(sign)\(hours):\(minutes)"
        return "\(date(&generator))T\(hour):\(minute):\(second)\(shown)\(offset)"
    }

    @Test("Dates are days of Python's calendar")
    func dates() throws {
        let script = """
            import sys, datetime
            for line in sys.stdin.read().split("\\n"):
                try: print((datetime.date.fromisoformat(line) - datetime.date(1970, 1, 1)).days)
                except ValueError: print("refused")
            """
        try check(.date, script: script, Self.date) { value in
            if case .date(let days) = value { "\(days)" } else { "\(value)" }
        }
    }

    @Test("Times are microseconds as Python's datetime counts them")
    func times() throws {
        let script = """
            import sys
            from datetime import *
            epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
            for line in sys.stdin.read().split("\\n"):
                try:
                    time = datetime.fromisoformat(line).astimezone(timezone.utc)
                    print((time - epoch) // timedelta(microseconds=1))
                except (ValueError, OverflowError): print("refused")
            """
        try check(.timestamp, script: script, Self.time) { value in
            if case .timestamp(let microseconds) = value { "\(microseconds)" } else { "\(value)" }
        }
    }

    @Test("Decimals are those of Python's decimal module")
    func decimals() throws {
        let script = """
            import sys
            from decimal import *
            getcontext().prec = 200
            for line in sys.stdin.read().split("\\n"):
                scaled = Decimal(line).scaleb(6)
                fits = scaled == int(scaled) and abs(scaled) < 10 ** 20
                print(int(scaled) if fits else "refused")
            """
        let make: (inout SeededGenerator) -> String = { generator in
            let whole = String(
                UInt64.random(in: 0...UInt64.max, using: &generator)
                    >> UInt64.random(in: 0...63, using: &generator))
            let places = Int.random(in: 0...8, using: &generator)
            let fraction = (0..<places).map { place in
                place >= 5 && Int.random(in: 0...3, using: &generator) > 0
                    ? "0" : String(Int.random(in: 0...9, using: &generator))
            }
            let sign = Bool.random(using: &generator) ? "-" : ""
            return sign + whole + (places > 0 ? "." + fraction.joined() : "")
        }
        try check(.decimal(precision: 20, scale: 6), script: script, make) { value in
            if case .decimal(let unscaled) = value { "\(unscaled)" } else { "\(value)" }
        }
    }

    @Test("Numbers are the doubles that Python reads, to the last bit")
    func numbers() throws {
        let script = """
            import sys, math, struct
            for line in sys.stdin.read().split("\\n"):
                value = float(line) + 0.0
                bits = struct.unpack("<Q", struct.pack("<d", value))[0]
                print(bits if math.isfinite(value) else "refused")
            """
        let make: (inout SeededGenerator) -> String = { generator in
            if Bool.random(using: &generator) {
                // Short ones, as rows have them, and halves between two doubles.
                let mantissa =
                    UInt64.random(in: 0...UInt64.max, using: &generator)
                    >> UInt64.random(in: 0...63, using: &generator)
                return "-\(mantissa).\(Int.random(in: 0...999, using: &generator))"
            }
            let bits = UInt64.random(in: 0...UInt64.max, using: &generator)
            let digits = String(bits) + String(bits)
            let exponent = Int.random(in: -345...290, using: &generator)
            let kept = digits.prefix(Int.random(in: 1...40, using: &generator))
            return "\(kept.first!).\(kept)e\(exponent + (Bool.random(using: &generator) ? 25 : 0))"
        }
        try check(.number, script: script, make) { value in
            if case .number(let number) = value { "\(number.bitPattern)" } else { "\(value)" }
        }
    }

    @Test("Every day of the calendar goes to a date and back")
    func everyDay() {
        var expected = (year: 1, month: 1, day: 1)
        for days in Civil.firstDay...Civil.lastDay {
            let date = Civil.date(days: days)
            guard date == expected,
                Civil.days(year: date.year, month: date.month, day: date.day)
                    == days
            else {
                Issue.record("day \(days) is \(date), and not \(expected)")
                return
            }
            expected.day += 1
            if expected.day > Civil.daysInMonth(year: expected.year, month: expected.month) {
                expected.day = 1
                expected.month += 1
            }
            if expected.month > 12 {
                expected.month = 1
                expected.year += 1
            }
        }
        #expect(expected == (10_000, 1, 1))
    }
}
