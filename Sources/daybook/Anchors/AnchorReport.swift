import DaybookLedger
import DaybookLog
import DaybookSegments
import DaybookServer

/// The anchors that a log is held against: whose they are, and what came of it.
struct AnchorReport {
    /// Where the key comes from by which the anchors are known to be the ledger's.
    private enum Trust: String {
        case given
        case ledgerKey = "ledger.key"
        case log
    }

    private let trust: Trust

    /// What the anchors say.
    let heads: [TreeHead]

    /// Reads the anchors that files and folders hold, and checks their signatures; nil if none are
    /// named.
    ///
    /// - Throws: `CommandFailure`: `usage` for what is no anchor of this ledger, `failed` for one
    ///   that the ledger's key did not sign.
    init?(_ names: [String], key: String?, _ settings: Settings) throws {
        guard !names.isEmpty else { return nil }
        let files = try names.flatMap { try AnchorFile.all($0) }
        heads = files.map(\.anchor.head)
        let log = try? LogReader.open(folder: settings.dataFolder, acceptsDamage: true)
        if let log, let stranger = files.first(where: { $0.anchor.head.ledger != log.ledger }) {
            throw CommandFailure(
                .usage,
                "\(stranger.path) is of ledger \(stranger.anchor.head.ledger), the log is of "
                    + "\(log.ledger)")
        }
        if let key {
            let given = try ProofFiles.key(key)
            trust = .given
            try AnchorReport.check(files, signedBy: [given])
            return
        }
        var keys = BackupPlace.trustedKey(settings).map { [$0] } ?? []
        if AnchorReport.stranger(among: files, to: keys) == nil {
            trust = .ledgerKey
            return
        }
        // Another key may have signed them once; the log names all there were.
        if let log { keys += (try? SigningKeys.all(of: log)) ?? [] }
        trust = .log
        try AnchorReport.check(files, signedBy: keys)
    }

    private static func check(_ files: [AnchorFile], signedBy keys: [VerifyingKey]) throws {
        guard let stranger = stranger(among: files, to: keys) else { return }
        throw CommandFailure(
            .failed,
            "\(stranger.path) is not signed by the ledger's key: it is no anchor of this ledger, "
                + "or was changed; give the key that was kept elsewhere with --key")
    }

    private static func stranger(
        among files: [AnchorFile], to keys: [VerifyingKey]
    ) -> AnchorFile? {
        files.first { file in !keys.contains { file.anchor.isSigned(by: $0) } }
    }

    // MARK: What came of it

    private func end(_ found: LogVerification) -> Position { found.head?.position ?? 0 }

    private func anchored(_ found: LogVerification) -> Position {
        found.head == nil ? 0 : found.anchoredPosition
    }

    /// For people.
    func text(_ found: LogVerification) -> String {
        let anchored = anchored(found)
        let count = found.anchors.count { $0.outcome == .holds }
        var text =
            "anchored: positions 0..<\(anchored), by \(count) of \(found.anchors.count) anchors; "
            + "unanchored: \(anchored)..<\(end(found))\n"
        if trust != .given {
            text +=
                "the anchors' key is taken from this ledger's own "
                + (trust == .ledgerKey ? "ledger.key" : "log")
                + "; give the one that was kept elsewhere with --key\n"
        }
        return text
    }

    /// For scripts. Ranges are half-open.
    func write(_ found: LogVerification, to json: inout JSONWriter) {
        let anchored = anchored(found)
        json.field("anchors", found.anchors.count)
        json.field("anchors_that_hold", found.anchors.count { $0.outcome == .holds })
        json.field("key_from", trust.rawValue)
        for (name, from, to) in [
            ("anchored", 0, anchored), ("unanchored", anchored, end(found)),
        ] {
            json.key(name)
            json.openObject()
            json.field("from", from)
            json.field("to", to)
            json.closeObject()
        }
    }
}
