import DaybookLog
import Glibc

/// What a ledger's snapshot of the keys knows of its log, for whoever opens or repairs the log.
///
/// A snapshot is made of durable blocks only: a log that ends before it, or has another root
/// there, lost something.
public enum SnapshotWitness {
    /// The state of the ledger that the snapshot in `folder` was made of; nil if there is none, or
    /// none that holds up. Only for whoever has the ledger's lock: the store is open meanwhile.
    public static func head(stateFolder folder: String) -> TreeHead? {
        guard access(KeyStore.path(folder), F_OK) == 0, let store = try? KeyStore(folder: folder)
        else { return nil }
        defer { store.close() }
        guard let view = try? store.view() else { return nil }
        defer { view.close() }
        guard let head = try? view.head(), head.log.position > 0 else { return nil }
        return head.log
    }

    /// Removes the snapshot: the keys are made anew from the log at the next start.
    ///
    /// - Throws: `LedgerError.state` if the file cannot be removed.
    public static func remove(stateFolder folder: String) throws(LedgerError) {
        do { try KeyStore.delete(folder: folder) } catch { throw .state(error.description) }
    }
}
