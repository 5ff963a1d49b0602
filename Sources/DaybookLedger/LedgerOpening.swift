import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// The steps by which a ledger is opened, in order: the log's schema, the keys, the first events.
struct LedgerOpening {
    let engine: any LogEngine
    let catalog: Catalog
    let options: LedgerOptions

    func open(stateFolder: String) throws(LedgerError) -> Ledger {
        let isNew = engine.durable.position == 0
        let isOtherCatalog = try lastDictionary() != catalog.version
        try adoptSchema(isOtherCatalog: isOtherCatalog && !isNew)

        let store = try openStore(stateFolder)
        let builder = try SnapshotBuilder(engine: engine, catalog: catalog, store: store)
        let tail = engine.durable.position - builder.head.log.position
        if tail > options.snapshotEventInterval {
            try builder.advance(to: engine.durable.position)
        }
        let lookup = LogLookup(engine: engine, byteLimit: options.cacheByteLimit)
        let view = try viewing { () throws(KeyStoreFault) in try store.view() }
        var sequencer = sequencer(
            try keys(builder, view), builder.fingerprintKey, lookup)
        if isNew || isOtherCatalog { try begin(&sequencer, isNew: isNew) }
        return Ledger(
            catalog: catalog, engine: engine, options: options, lookup: lookup,
            snapshots: SnapshotThread(builder), store: store, sequencer: sequencer, view: view)
    }

    /// A ledger that runs no thread and keeps no snapshot: all keys are taken from the log.
    func openStepped(fingerprintKey: FingerprintKey) throws(LedgerError) -> SteppedLedger {
        let isNew = engine.durable.position == 0
        let isOtherCatalog = try lastDictionary() != catalog.version
        try adoptSchema(isOtherCatalog: isOtherCatalog && !isNew)
        var keys = KeyState(constraints: catalog.constraints)
        try replay(into: &keys, from: 0, fingerprintKey)
        let lookup = LogLookup(engine: engine, byteLimit: options.cacheByteLimit)
        var sequencer = sequencer(keys, fingerprintKey, lookup)
        if isNew || isOtherCatalog { try begin(&sequencer, isNew: isNew) }
        return SteppedLedger(
            catalog: catalog, engine: engine, options: options, lookup: lookup,
            sequencer: sequencer)
    }

    private func sequencer(
        _ keys: KeyState, _ fingerprintKey: FingerprintKey, _ lookup: LogLookup
    ) -> Sequencer {
        var sequencer = Sequencer(
            catalog: catalog, schema: engine.schema, fingerprintKey: fingerprintKey, keys: keys,
            stored: StoredKeys(lookup: lookup, catalog: catalog),
            clock: ClockGuard(reading(), limitSeconds: options.clockJumpLimitSeconds),
            position: engine.durable.position, lastReceivedAt: engine.lastReceivedAt)
        sequencer.retractionLagMax = options.retractionLagMax
        return sequencer
    }

    /// The dictionary that judged the log's last batch. A new catalog begins with its own event, so
    /// this is the last one that was announced. Nil for an empty log.
    private func lastDictionary() throws(LedgerError) -> String? {
        let end = engine.durable.position
        if end == 0 { return nil }
        var version: String?
        do {
            let blocks = try engine.blocks(from: end - 1, byteLimit: 1)
            try blocks.last?.forEachBatch { version = $0.facts.dictionary }
        } catch let error as LogError {
            throw .log(error)
        } catch {
            throw .log(
                .corrupt(
                    Corruption(
                        file: "the last block", offset: 0, position: end - 1,
                        what: "a record does not read as its schema says: \(error)")))
        }
        return version
    }

    private func adoptSchema(isOtherCatalog: Bool) throws(LedgerError) {
        let schema: LogSchema
        do {
            schema = try catalog.logSchema()
        } catch {
            throw .state("the dictionary's tables make no schema of the log: \(error.what)")
        }
        guard isOtherCatalog || engine.schema != schema else { return }
        do { try engine.roll(to: schema) } catch { throw .log(error) }
    }

    /// The store of keys; one that cannot be opened is made anew.
    private func openStore(_ folder: String) throws(LedgerError) -> KeyStore {
        do { return try KeyStore(folder: folder) } catch {
            return try viewing { () throws(KeyStoreFault) in
                try KeyStore.delete(folder: folder)
                return try KeyStore(folder: folder)
            }
        }
    }

    /// The keys at the log's end: the snapshot's, and those of the blocks after it.
    private func keys(
        _ builder: SnapshotBuilder, _ view: KeyStoreView
    ) throws(LedgerError) -> KeyState {
        try viewing { () throws(KeyStoreFault) in try view.renew() }
        var integers: [Int: IntegerSet] = [:]
        let places = KeySetPlaces(catalog.constraints)
        for place in places.all where places.isInteger(place) {
            integers[place] = try viewing { () throws(KeyStoreFault) in
                try builder.set(place).flatMap { (set) throws(KeyStoreFault) in
                    try view.integers(set)
                }
            }
        }
        var keys = KeyState(
            constraints: catalog.constraints,
            number: { index in
                guard let set = builder.set(index) else {
                    preconditionFailure("a snapshot has every set")
                }
                return set.number
            },
            base: view,
            integers: { index in
                guard let set = integers[index] else {
                    preconditionFailure("a snapshot has the bitmaps of its head")
                }
                return set
            })
        try replay(into: &keys, from: builder.head.log.position, builder.fingerprintKey)
        return keys
    }

    /// Takes and frees what the blocks from `start` on do.
    private func replay(
        into keys: inout KeyState, from start: Position, _ fingerprintKey: FingerprintKey
    ) throws(LedgerError) {
        var extraction = KeyExtraction(catalog: catalog, fingerprintKey: fingerprintKey)
        var position = start
        do throws(LogError) {
            while position < engine.durable.position {
                for block in try engine.blocks(from: position, byteLimit: 4 << 20) {
                    let retracted = try extraction.extract(from: block) { keys.restore($0) }
                    try extraction.extract(rowsIn: retracted, of: engine) { keys.free($0) }
                    keys.retract(retracted)
                    position = block.endPosition
                }
            }
        } catch {
            throw .log(error)
        }
        keys.commit()
    }

    /// Writes the log's first events, or those of a new dictionary.
    private func begin(_ sequencer: inout Sequencer, isNew: Bool) throws(LedgerError) {
        var controls = [Control(kind: "catalog", text: Array(catalog.text.utf8))]
        let now = reading()
        if isNew { controls.insert(genesis(at: now.wall), at: 0) }
        var builder = BlockBuilder(schema: engine.schema)
        for control in controls {
            let decision = sequencer.decide(
                .controls([control], idempotencyKey: nil, requestDigest: []), at: now,
                random: options.random(), into: &builder)
            if case .refused(let error) = decision { throw error }
        }
        do { _ = try engine.append(builder) } catch {
            throw error.isDiskFull ? .diskFull : .log(error)
        }
        sequencer.commit()
    }

    private func genesis(at now: Microseconds) -> Control {
        let key = options.signingKey.map { ",\"signing_key\":\"\($0)\"" } ?? ""
        let text = """
            {"format":"daybook","format_version":1,"ledger":"\(engine.ledger)",\
            "created_at_microseconds":\(now)\(key)}
            """
        return Control(kind: "genesis", text: Array(text.utf8))
    }

    private func reading() -> ClockGuard.Reading {
        ClockGuard.Reading(wall: options.wallClock(), boot: options.bootClock())
    }

    private func viewing<R>(_ body: () throws(KeyStoreFault) -> R) throws(LedgerError) -> R {
        do { return try body() } catch { throw .state(error.description) }
    }
}

extension LogError {
    var isDiskFull: Bool {
        if case .diskFull = self { true } else { false }
    }
}
