import DaybookLog

/// The snapshots of the keys, as the writer looks at them.
protocol KeySnapshots: AnyObject {
    /// The position that the newest covers.
    var position: Position { get }
    /// Asks for one up to a durable position.
    func request(_ target: Position)
    /// Looks at the newest from now on.
    func renew() throws(KeyStoreFault)
    /// Keeps, for the status, why one could not be made or used.
    func note(fault: String)
    /// Ends the looking.
    func close()
}

/// Those that a thread makes in a store.
final class StoredSnapshots: KeySnapshots {
    private let thread: SnapshotThread
    private let view: KeyStoreView

    init(_ thread: SnapshotThread, _ view: KeyStoreView) {
        self.thread = thread
        self.view = view
    }

    var position: Position { thread.position }
    func request(_ target: Position) { thread.request(target) }
    func renew() throws(KeyStoreFault) { try view.renew() }
    func note(fault: String) { thread.note(fault: fault) }
    func close() { view.close() }
}

/// None: all keys stay in memory.
final class NoSnapshots: KeySnapshots {
    var position: Position { 0 }
    func request(_ target: Position) {}
    func renew() {}
    func note(fault: String) {}
    func close() {}
}
