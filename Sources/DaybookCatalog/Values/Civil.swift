/// Days and dates of the proleptic Gregorian calendar, by integer arithmetic alone.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
public enum Civil {
    /// Microseconds in a day of 86,400 seconds (no leap seconds, as in POSIX and Postgres).
    public static let microsecondsPerDay: Int64 = 86_400_000_000
    /// 0001-01-01, the first day that a date or time may name.
    public static let firstDay = -719_162
    /// 9999-12-31, the last one.
    public static let lastDay = 2_932_896

    /// Days from 1970-01-01 to a date that exists.
    @inlinable public static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year &- 1 : year
        let era = (shifted >= 0 ? shifted : shifted &- 399) / 400
        let yearOfEra = shifted &- era &* 400
        let monthFromMarch = month > 2 ? month &- 3 : month &+ 9
        let dayOfYear = (153 &* monthFromMarch &+ 2) / 5 &+ day &- 1
        let dayOfEra = yearOfEra &* 365 &+ yearOfEra / 4 &- yearOfEra / 100 &+ dayOfYear
        return era &* 146_097 &+ dayOfEra &- 719_468
    }

    /// The date that lies `days` after 1970-01-01.
    @inlinable public static func date(days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days &+ 719_468
        let era = (shifted >= 0 ? shifted : shifted &- 146_096) / 146_097
        let dayOfEra = shifted &- era &* 146_097
        let yearOfEra =
            (dayOfEra &- dayOfEra / 1_460 &+ dayOfEra / 36_524 &- dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra &- (365 &* yearOfEra &+ yearOfEra / 4 &- yearOfEra / 100)
        let monthFromMarch = (5 &* dayOfYear &+ 2) / 153
        let day = dayOfYear &- (153 &* monthFromMarch &+ 2) / 5 &+ 1
        let month = monthFromMarch < 10 ? monthFromMarch &+ 3 : monthFromMarch &- 9
        let year = yearOfEra &+ era &* 400 &+ (month <= 2 ? 1 : 0)
        return (year, month, day)
    }

    /// How many days a month has; `month` is 1 to 12.
    @inlinable public static func daysInMonth(year: Int, month: Int) -> Int {
        guard month == 2 else { return 30 &+ ((month &+ (month >> 3)) & 1) }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return isLeap ? 29 : 28
    }
}
