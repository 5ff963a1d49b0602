extension ScalarParser {
    /// A date `YYYY-MM-DD` that the calendar has, year 0001 to 9999, in days from 1970-01-01.
    public static func date(_ text: UnsafeRawBufferPointer) throws(ScalarFault) -> Int32 {
        guard text.count == 10 else { throw .invalid }
        return Int32(try day(text))
    }

    /// A time by RFC 3339 in microseconds from 1970-01-01T00:00Z.
    ///
    /// Date and time stand apart by `T`, `t` or one space (section 5.6, note); the offset is `Z`,
    /// `z` or `±hh:mm`; a second has up to 6 digits behind its point. A leap second is refused:
    /// neither POSIX time nor Postgres has a place for it. The moment must lie in the years 0001 to
    /// 9999 in UTC too.
    ///
    /// With `isUTCAssumed` the offset may be left out: `2021-11-07 02:48:42.0` is a time in UTC.
    public static func timestamp(
        _ text: UnsafeRawBufferPointer, isUTCAssumed: Bool = false
    ) throws(ScalarFault) -> Int64 {
        let count = text.count
        guard count >= (isUTCAssumed ? 19 : 20) else { throw .invalid }
        let separator = text[10]
        guard separator | 0x20 == UInt8(ascii: "t") || separator == UInt8(ascii: " ") else {
            throw .invalid
        }
        let days = try day(text)
        let colon = UInt8(ascii: ":")
        let hour = try twoDigits(text, at: 11)
        let minute = try twoDigits(text, at: 14)
        let second = try twoDigits(text, at: 17)
        guard text[13] == colon, text[16] == colon, hour < 24, minute < 60, second < 60 else {
            throw .invalid
        }
        var place = 19
        let fraction = try microseconds(text, &place)
        let isOffsetLeftOut = isUTCAssumed && place == count
        let offset = isOffsetLeftOut ? 0 : try offsetMinutes(text, from: place)
        let minutes = Int64(days) &* 1_440 &+ Int64(hour &* 60 &+ minute &- offset)
        let first = Int64(Civil.firstDay) &* 1_440
        let end = Int64(Civil.lastDay &+ 1) &* 1_440
        guard minutes >= first && minutes < end else { throw .outOfRange }
        return (minutes &* 60 &+ Int64(second)) &* 1_000_000 &+ fraction
    }

    /// The days of a date in the first ten bytes.
    private static func day(_ text: UnsafeRawBufferPointer) throws(ScalarFault) -> Int {
        let year = try twoDigits(text, at: 0) &* 100 &+ twoDigits(text, at: 2)
        let month = try twoDigits(text, at: 5)
        let day = try twoDigits(text, at: 8)
        let dash = UInt8(ascii: "-")
        guard text[4] == dash, text[7] == dash, month >= 1, month <= 12, day >= 1 else {
            throw .invalid
        }
        guard day <= 28 || day <= Civil.daysInMonth(year: year, month: month) else {
            throw .invalid
        }
        guard year >= 1 else { throw .outOfRange }
        return Civil.days(year: year, month: month, day: day)
    }

    /// The digits behind a second's point, if there is one at `place`, as microseconds.
    private static func microseconds(
        _ text: UnsafeRawBufferPointer, _ place: inout Int
    ) throws(ScalarFault) -> Int64 {
        guard place < text.count, text[place] == UInt8(ascii: ".") else { return 0 }
        place += 1
        let first = place
        var value: Int64 = 0
        while place < text.count {
            let digit = text[place] &- UInt8(ascii: "0")
            if digit > 9 { break }
            guard place - first < 6 else { throw .invalid }
            value = value &* 10 &+ Int64(digit)
            place += 1
        }
        guard place > first else { throw .invalid }
        for _ in (place - first)..<6 { value &*= 10 }
        return value
    }

    /// How far local time is ahead of UTC; the offset must end the text.
    private static func offsetMinutes(
        _ text: UnsafeRawBufferPointer, from place: Int
    ) throws(ScalarFault) -> Int {
        guard place < text.count else { throw .invalid }
        let sign = text[place]
        if sign | 0x20 == UInt8(ascii: "z") && place + 1 == text.count { return 0 }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { throw .invalid }
        guard place + 6 == text.count, text[place + 3] == UInt8(ascii: ":") else { throw .invalid }
        let hours = try twoDigits(text, at: place + 1)
        let minutes = try twoDigits(text, at: place + 4)
        guard hours < 24, minutes < 60 else { throw .invalid }
        let total = hours * 60 + minutes
        return sign == UInt8(ascii: "-") ? -total : total
    }

    @inline(__always) private static func twoDigits(
        _ text: UnsafeRawBufferPointer, at place: Int
    ) throws(ScalarFault) -> Int {
        let tens = text[place] &- UInt8(ascii: "0")
        let ones = text[place &+ 1] &- UInt8(ascii: "0")
        guard tens <= 9 && ones <= 9 else { throw .invalid }
        return Int(tens) &* 10 &+ Int(ones)
    }
}
