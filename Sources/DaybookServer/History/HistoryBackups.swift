import DaybookLedger

/// What is known of the backups when somebody asks which of them hold a row.
public enum HistoryBackups: Sendable, Equatable {
    /// All of the place, oldest first.
    case listed([BackupListing.Backup])
    /// They cannot be listed, for this reason.
    case unknown(reason: String)

    /// Those that hold the row in its table's file; nil if nobody can say. One that was made since
    /// the log was looked through is left out: the row may have been taken back in between.
    ///
    /// - Parameters:
    ///   - event: one of the history's.
    ///   - ledger: the id of the ledger whose row it is.
    public func holding(
        _ event: KeyEvent, of history: KeyHistory, ledger: String
    ) -> [(name: String, facts: BackupListing.Facts)]? {
        guard case .listed(let backups) = self else { return nil }
        return backups.compactMap { backup in
            guard let facts = backup.facts, facts.ledger == ledger,
                facts.position <= history.position, facts.holds(event)
            else { return nil }
            return (backup.name, facts)
        }
    }
}

extension BackupListing.Facts {
    /// Whether the state that was saved has the row: it came before, and was not taken back by
    /// then.
    fileprivate func holds(_ event: KeyEvent) -> Bool {
        guard position > event.position, tables.contains(event.batch.table) else { return false }
        return event.retraction.map { $0.position >= position } ?? true
    }
}
