import DaybookLog
import DaybookServer
import Foundation

/// The machine's clocks. Everything else is handed the time.
enum SystemClock {
    /// Microseconds from 1970 UTC, as the wall clock says. (`clock_gettime`)
    @Sendable static func wall() -> Microseconds { read(CLOCK_REALTIME) }

    /// Microseconds since the machine started, sleep included. (`clock_gettime`)
    @Sendable static func boot() -> Microseconds { read(CLOCK_BOOTTIME) }

    /// The wall clock as RFC 3339.
    @Sendable static func text() -> String { JSONWriter.text(time: wall()) }

    private static func read(_ clock: clockid_t) -> Microseconds {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
