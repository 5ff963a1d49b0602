import DaybookLedger
import DaybookServer

/// How many rejected rows an import may have, and whether rows are kept when there are more.
struct ImportLimit {
    /// What a pass over a file is to do.
    enum Pass: Equatable {
        /// Judge every row, append nothing.
        case check
        /// Append, and stop at the limit.
        case keepGood
        /// Append what a check has found good; the limit is watched, for others append too.
        case watched
    }

    let limit: RejectLimit
    let keepsGood: Bool

    /// Imports a file in one pass, or in two: first a check, of which a file that has too many
    /// rejections does not come out.
    ///
    /// - Parameter pass: reads the file once.
    func importFile(
        _ pass: (Pass, RejectLimit) async throws -> ImportReport
    ) async throws -> ImportReport {
        if keepsGood { return try await pass(.keepGood, limit) }
        let check = try await pass(.check, limit)
        guard !check.isStopped, !check.isAlreadyImported, let rows = check.checked?.rows else {
            return check
        }
        return try await pass(.watched, limit.whole(of: rows))
    }

    /// What a user is told of a file that has too many rejections.
    func explanation(_ report: ImportReport) -> String {
        let line = report.stoppedLine.map { ", the last one allowed before line \($0)" } ?? ""
        let counts = report.checked ?? .init(report)
        let start =
            "\(report.file): \(counts.rejected) of \(counts.rows) rows rejected, "
            + "more than --max-rejects \(limit.text)\(line); "
        if report.checked != nil {
            let kept =
                report.rows == 0
                ? "nothing of the file was kept"
                : "nothing more of it was kept than the \(report.rows) rows that an earlier run "
                    + "left in the log"
            return start + kept + "; mend the file, or import it with a higher limit"
        }
        let kept = "the \(report.rows) rows up to there are in the log"
        let reason = keepsGood ? "" : " (others appended after the file was checked)"
        return start + kept + reason + "; with a higher limit the import goes on from there"
    }
}

extension ImportSummary.Counts {
    fileprivate init(_ report: ImportReport) {
        self.init()
        rows = report.rows
        accepted = report.accepted
        rejected = report.rejected
    }
}
