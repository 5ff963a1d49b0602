import DaybookLedger
import DaybookLog

/// Why a key was not made, or the log does not know the keys.
public enum KeyRegistryError: Error, Equatable {
    /// The file of the keys says no.
    case file(KeyFileError)
    /// The ledger did not take the event.
    case ledger(LedgerError)
    /// The dictionary has no such table; it has those.
    case unknownTable(String, known: [String])
}

/// A key that was just made.
public struct MadeKey: Sendable {
    /// The text that a client sends. It is kept nowhere.
    public let text: String
    /// What is kept.
    public let key: Key
    /// The position of the event that says so.
    public let position: Position
}

/// Makes keys, and sees to it that the log has every change of them: a key acts when its event is
/// durable, never before.
///
/// A key is made in two steps, the event and then the file; it is taken away in two, the file and
/// then the event. Whatever comes between, `recordChanges` finds file and log apart the next time
/// and records what it finds. Only who has the ledger may have one: changes are numbered.
public actor KeyRegistry {
    private let file: KeyFile
    private let ledger: any LedgerService
    private let tables: [String]

    /// What the log's changes come to, and how many they are.
    private var inForce: Set<KeyFacts> = []
    private var changeCount = 0
    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// A registry of the keys in `file`, for these tables; from here on no key of the file acts of
    /// which the log was not asked.
    public init(file: KeyFile, ledger: any LedgerService, tables: [String]) {
        self.file = file
        self.ledger = ledger
        self.tables = tables
        file.admit(only: [])
    }

    /// Makes a key.
    ///
    /// - Parameter principal: who wants it, `local:<user>`.
    public func create(
        name: String, scopes: [Scope], tables: [String]?, by principal: String
    ) async throws(KeyRegistryError) -> MadeKey {
        await begin()
        defer { end() }
        try await record(environment: nil)
        if let unknown = tables?.first(where: { !self.tables.contains($0) }) {
            throw .unknownTable(unknown, known: self.tables)
        }
        let taken = try await onFile { file throws(KeyFileError) in
            try KeyFile.check(name: name)
            return try file.list().contains { $0.name == name }
        }
        guard !taken else { throw .file(.nameTaken(name)) }
        let text = Key.randomText()
        var key = Key(name: name, text: text, scopes: scopes, tables: tables)
        let receipt = try await record(.created, key.facts, by: principal)
        key.createdAtMicroseconds = receipt.receivedAt
        try await onFile { [key] file throws(KeyFileError) in try file.add(key) }
        return MadeKey(text: text, key: key, position: receipt.position)
    }

    /// Records what the file has and the log has not, or the other way round, and lets those keys
    /// in that both have.
    ///
    /// - Parameter starter: who starts a server, whose environment then counts; nil for a command.
    /// - Returns: how many changes there were.
    @discardableResult
    public func recordChanges(
        startingAs starter: String? = nil
    ) async throws(KeyRegistryError) -> Int {
        await begin()
        defer { end() }
        return try await record(environment: starter)
    }

    // MARK: One at a time

    private func begin() async {
        while isBusy { await withCheckedContinuation { waiting.append($0) } }
        isBusy = true
    }

    private func end() {
        isBusy = false
        for continuation in waiting { continuation.resume() }
        waiting = []
    }

    private func onFile<Value: Sendable>(
        _ body: @escaping @Sendable (KeyFile) throws(KeyFileError) -> Value
    ) async throws(KeyRegistryError) -> Value {
        let result = await offPool { [file] in
            Result { () throws(KeyFileError) in try body(file) }
        }
        do { return try result.get() } catch { throw .file(error) }
    }

    // MARK: The log

    /// Takes up the changes that the log has beyond those that are known.
    private func readLog() async throws(KeyRegistryError) {
        while true {
            let name = KeyChange.idempotencyKey(changeCount + 1)
            let found: Control?
            do throws(LedgerError) {
                found = try await ledger.control(idempotencyKey: name)
            } catch {
                throw .ledger(error)
            }
            guard let found else { return }
            if let change = KeyChange(found) { apply(change) }
            changeCount += 1
        }
    }

    private func apply(_ change: KeyChange) {
        switch change.kind {
        case .created: inForce.insert(change.facts)
        case .revoked: inForce.remove(change.facts)
        }
    }

    @discardableResult
    private func record(
        _ kind: KeyChange.Kind, _ facts: KeyFacts, by principal: String?
    ) async throws(KeyRegistryError) -> Receipt {
        let change = KeyChange(kind, facts, by: principal)
        let control = change.control
        let receipt: Receipt
        do throws(LedgerError) {
            receipt = try await ledger.record(
                [control], idempotencyKey: KeyChange.idempotencyKey(changeCount + 1),
                requestDigest: control.text.withUnsafeBytes { Digest(of: $0).bytes })
        } catch {
            throw .ledger(error)
        }
        changeCount += 1
        apply(change)
        file.admit(only: inForce)
        return receipt
    }

    /// Puts the log right: what was taken away first, so that a name's keys stand in order.
    @discardableResult
    private func record(environment starter: String?) async throws(KeyRegistryError) -> Int {
        try await readLog()
        file.admit(only: inForce)
        let before = changeCount
        let content = try await onFile { file throws(KeyFileError) in try file.content() }
        let pending = content.revoked ?? []
        for revoked in pending where inForce.contains(revoked.key.facts) {
            try await record(.revoked, revoked.key.facts, by: revoked.by)
        }
        if !pending.isEmpty {
            try await onFile { file throws(KeyFileError) in try file.forget(pending) }
        }
        let kept = content.keys.map(\.facts)
        let gone = inForce.subtracting(kept).subtracting([.environment])
        for facts in gone.sorted(by: { $0.name < $1.name }) {
            try await record(.revoked, facts, by: nil)
        }
        for facts in kept where !inForce.contains(facts) {
            try await record(.created, facts, by: nil)
        }
        if let starter, file.hasExtraKey != inForce.contains(.environment) {
            try await record(file.hasExtraKey ? .created : .revoked, .environment, by: starter)
        }
        return changeCount - before
    }
}
