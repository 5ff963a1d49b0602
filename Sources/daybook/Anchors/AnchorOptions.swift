import ArgumentParser
import DaybookBackup
import Foundation

/// How a server writes signed tree heads by itself.
struct AnchorPlan: Sendable {
    /// The folder they go to.
    let folder: String
    /// At most one in so many seconds.
    let everySeconds: Int64
}

/// The options of `daybook serve` about anchors.
struct AnchorOptions: ParsableArguments {
    @Option(
        help: """
            A folder on another disk or machine, for signed tree heads. Environment: \
            DAYBOOK_ANCHOR.
            """)
    var anchor: String?

    @Option(
        help: """
            Write one at most so often: 30s, 1m, 1h. Environment: DAYBOOK_ANCHOR_EVERY. Default: \
            1m.
            """)
    var anchorEvery: String?

    /// What flags and environment come to; nil if there are to be no anchors.
    ///
    /// - Throws: `ValidationError` that says what would be right.
    func plan() throws -> AnchorPlan? {
        let every = anchorEvery ?? Settings.environment("ANCHOR_EVERY")
        guard let interval = Interval(every ?? "1m") else {
            throw ValidationError(
                "--anchor-every (DAYBOOK_ANCHOR_EVERY) is \(Interval.form), not \(every ?? "").")
        }
        guard let folder = anchor ?? Settings.environment("ANCHOR") else {
            guard every == nil else {
                throw ValidationError("--anchor-every needs a folder: --anchor DIR.")
            }
            return nil
        }
        return AnchorPlan(
            folder: URL(fileURLWithPath: folder).standardizedFileURL.path,
            everySeconds: interval.seconds)
    }
}
