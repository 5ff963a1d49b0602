import ArgumentParser
import DaybookSegments
import DaybookServer
import Logging

/// The options of `daybook serve` about the scrub of sealed segments.
struct ScrubOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Bytes a second of old segments that are read and checked in the background; 0 for \
            none. Environment: DAYBOOK_SCRUB_RATE. Default: 8388608.
            """, valueName: "bytes-per-second"))
    var scrubRate: String?

    @Option(
        help: ArgumentHelp(
            """
            Seconds from the beginning of one pass over the old segments to that of the next, at \
            least. Environment: DAYBOOK_SCRUB_EVERY. Default: 3600.
            """, valueName: "seconds"))
    var scrubEvery: String?

    /// What flags and environment come to; nil for no scrub.
    ///
    /// - Throws: `ValidationError` that says what would be right.
    func plan() throws -> LogScrubber.Options? {
        var options = LogScrubber.Options()
        if let rate = try number(scrubRate, "--scrub-rate", "SCRUB_RATE", 0) {
            if rate == 0 { return nil }
            options.bytesPerSecond = UInt64(rate)
        }
        if let seconds = try number(scrubEvery, "--scrub-every", "SCRUB_EVERY", 1) {
            options.passSeconds = Double(seconds)
        }
        return options
    }

    private func number(
        _ given: String?, _ flag: String, _ variable: String, _ least: Int64
    ) throws -> Int64? {
        guard let text = given ?? Settings.environment(variable) else { return nil }
        let most: Int64 = 1 << 40
        guard let number = Int64(text), (least...most).contains(number) else {
            let name = given == nil ? "DAYBOOK_\(variable)" : flag
            throw ValidationError(
                "\(name) is a number from \(least) to \(most); \"\(text)\" is not.")
        }
        return number
    }
}

extension LogScrubber {
    /// A scrubber of an open log that tells the server's log of damage.
    convenience init?(_ options: ScrubOptions, of composition: Composition) throws {
        guard let plan = try options.plan() else { return nil }
        self.init(composition.log, options: plan) { [logger = composition.logger] damage in
            logger.error(
                "a sealed segment is damaged",
                metadata: [
                    "file": "\(damage.file)", "offset": "\(damage.offset)",
                    "position": "\(damage.position)", "what": "\(damage.what)",
                ])
        }
    }

    /// The log's size, with what the scrub found.
    func add(to size: LogSize) -> LogSize {
        let report = report
        var size = size
        size.damage = report.damage
        size.scrub = ScrubFigures(
            byteCount: report.byteCount, passCount: report.passCount,
            lastPassAgeSeconds: report.lastPassAgeSeconds)
        return size
    }
}
