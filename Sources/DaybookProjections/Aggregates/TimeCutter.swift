import DaybookCatalog
import Foundation

/// Cuts times into years, days, buckets and so on, in the zone of an aggregate.
struct TimeCutter {
    private let function: Aggregate.TimeFunction
    /// Nil for UTC.
    private let zone: TimeZone?
    /// The zone's offset by day from 1970, in seconds.
    private var offsets: [Int64: Int64] = [:]

    private static let offsetCountMax = 50_000
    private static let microsecondsPerSecond: Int64 = 1_000_000
    private static let secondsPerDay: Int64 = 86_400

    init(_ function: Aggregate.TimeFunction, timeZone: String) {
        self.function = function
        zone = timeZone == "UTC" ? nil : TimeZone(identifier: timeZone)
    }

    /// What a time becomes: a number, days from 1970 for `date`, microseconds from 1970 for
    /// `bucket`.
    ///
    /// - Parameter microseconds: from 1970 UTC.
    mutating func cut(microseconds: Int64) -> Int64 {
        let seconds = TimeCutter.quotient(microseconds, TimeCutter.microsecondsPerSecond)
        if case .bucket(let width) = function {
            return TimeCutter.quotient(seconds, width) * width * TimeCutter.microsecondsPerSecond
        }
        let local = seconds + offset(at: seconds)
        let day = TimeCutter.quotient(local, TimeCutter.secondsPerDay)
        switch function {
        case .hour: return (local - day * TimeCutter.secondsPerDay) / 3600
        case .minute: return (local - day * TimeCutter.secondsPerDay) / 60 % 60
        default: return cut(days: day)
        }
    }

    /// What a day becomes, for the functions that are no finer.
    ///
    /// - Parameter days: from 1970-01-01.
    func cut(days: Int64) -> Int64 {
        if case .date = function { return days }
        let (year, month, day) = TimeCutter.civil(days: days)
        switch function {
        case .year: return year
        case .quarter: return (month + 2) / 3
        case .month: return month
        case .day: return day
        case .date, .hour, .minute, .bucket:
            preconditionFailure("a day has no part that is finer")
        }
    }

    /// The zone's offset at a moment, in seconds. Days on which it does not change are remembered.
    private mutating func offset(at seconds: Int64) -> Int64 {
        guard let zone else { return 0 }
        let day = TimeCutter.quotient(seconds, TimeCutter.secondsPerDay)
        if let known = offsets[day] { return known }
        func offset(_ seconds: Int64) -> Int64 {
            Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds))))
        }
        let start = day * TimeCutter.secondsPerDay
        let first = offset(start)
        guard first == offset(start + TimeCutter.secondsPerDay) else { return offset(seconds) }
        if offsets.count == TimeCutter.offsetCountMax { offsets.removeAll() }
        offsets[day] = first
        return first
    }

    @inline(__always)
    private static func quotient(_ value: Int64, _ divisor: Int64) -> Int64 {
        value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor)
    }

    /// Year, month and day of a day in the Gregorian calendar, whose years before 1 count on as
    /// Postgres's `extract` does: 0 is not there, the year before 1 is -1.
    ///
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = quotient(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year > 0 ? year : year - 1, month, day)
    }
}
