import Avro
import CLMDB
import DaybookLog
import Glibc

/// Why the store of keys could not be used.
struct KeyStoreFault: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// What a function of LMDB answered.
    init(_ call: String, _ code: Int32) {
        description = "\(call): \(String(cString: mdb_strerror(code)))"
    }
}

/// The snapshot of the keys on disk: one LMDB file, changed by whole transactions only.
///
/// Source: LMDB 0.9, lmdb.h. One thread writes; any thread may hold a view, which shows one
/// snapshot until it is renewed.
// @unchecked: LMDB lets any thread use an environment; a view or a write has one thread, and
// `close` comes when all others have ended.
final class KeyStore: @unchecked Sendable {
    /// Room in the address space, not on disk.
    private static let mapByteCount = 1 << 38
    fileprivate static let headKey: [UInt8] = Array("head".utf8)

    private let environment: OpaquePointer
    private var isClosed = false
    fileprivate let heads: MDB_dbi
    fileprivate let integers: MDB_dbi
    fileprivate let fingerprints: MDB_dbi

    /// Opens the store in `folder`, which is made if it is not there.
    init(folder: String) throws(KeyStoreFault) {
        if mkdir(folder, 0o700) != 0, errno != EEXIST {
            throw KeyStoreFault("\(folder): \(String(cString: strerror(errno)))")
        }
        let path = Self.path(folder)
        environment = try Self.openEnvironment(path)
        do throws(KeyStoreFault) {
            try Self.checkLength(environment, path)
            let transaction = try Transaction(environment, parent: nil, flags: 0)
            do throws(KeyStoreFault) {
                heads = try transaction.open("heads")
                integers = try transaction.open("integers")
                fingerprints = try transaction.open("fingerprints")
                try transaction.commit()
            } catch {
                transaction.abort()
                throw error
            }
        } catch {
            mdb_env_close(environment)
            throw error
        }
    }

    deinit { close() }

    /// Closes the file; all views must be closed before. LMDB allows a file to be open once in a
    /// process, so this must not wait for the last reference to go.
    func close() {
        if !isClosed { mdb_env_close(environment) }
        isClosed = true
    }

    /// Deletes the store's files; the keys are then made anew from the log.
    static func delete(folder: String) throws(KeyStoreFault) {
        for path in [path(folder), path(folder) + "-lock"] where unlink(path) != 0 {
            if errno != ENOENT {
                throw KeyStoreFault("\(path): \(String(cString: strerror(errno)))")
            }
        }
    }

    static func path(_ folder: String) -> String { folder + "/keys.mdb" }

    private static func openEnvironment(_ path: String) throws(KeyStoreFault) -> OpaquePointer {
        var environment: OpaquePointer?
        try check("mdb_env_create", mdb_env_create(&environment))
        guard let environment else { throw KeyStoreFault("mdb_env_create gave nothing") }
        do throws(KeyStoreFault) {
            try check("mdb_env_set_mapsize", mdb_env_set_mapsize(environment, mapByteCount))
            try check("mdb_env_set_maxdbs", mdb_env_set_maxdbs(environment, 3))
            // The lookups are random, and a view may be used by another thread than made it.
            let flags = UInt32(MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD)
            try check("mdb_env_open", mdb_env_open(environment, path, flags, 0o600))
            return environment
        } catch {
            mdb_env_close(environment)
            throw error
        }
    }

    /// A file that was cut would end the process when its missing pages are touched.
    private static func checkLength(
        _ environment: OpaquePointer, _ path: String
    ) throws(KeyStoreFault) {
        var info = MDB_envinfo()
        var pages = MDB_stat()
        var file = stat()
        try check("mdb_env_info", mdb_env_info(environment, &info))
        try check("mdb_env_stat", mdb_env_stat(environment, &pages))
        guard stat(path, &file) == 0 else { throw KeyStoreFault("\(path) is not there") }
        // A new store has written its first two pages only when it commits.
        if info.me_last_txnid == 0 { return }
        let needed = (info.me_last_pgno + 1) * Int(pages.ms_psize)
        if file.st_size < needed {
            throw KeyStoreFault("\(path) has \(file.st_size) bytes, not \(needed)")
        }
    }

    /// A view of the snapshot as it is now.
    func view() throws(KeyStoreFault) -> KeyStoreView {
        KeyStoreView(self, try Transaction(environment, parent: nil, flags: UInt32(MDB_RDONLY)))
    }

    /// Changes the snapshot in one transaction, on disk when it returns, or not at all.
    func write<R>(
        _ body: (KeyStoreWriter) throws(KeyStoreFault) -> R
    ) throws(KeyStoreFault) -> R {
        let transaction = try Transaction(environment, parent: nil, flags: 0)
        do throws(KeyStoreFault) {
            let result = try body(KeyStoreWriter(self, transaction))
            try transaction.commit()
            return result
        } catch {
            transaction.abort()
            throw error
        }
    }
}

/// One LMDB transaction.
private final class Transaction {
    private var handle: OpaquePointer?

    init(_ environment: OpaquePointer, parent: OpaquePointer?, flags: UInt32) throws(KeyStoreFault)
    {
        try check("mdb_txn_begin", mdb_txn_begin(environment, parent, flags, &handle))
    }

    func open(_ name: String) throws(KeyStoreFault) -> MDB_dbi {
        var database = MDB_dbi()
        try check("mdb_dbi_open", mdb_dbi_open(handle, name, UInt32(MDB_CREATE), &database))
        return database
    }

    func commit() throws(KeyStoreFault) {
        let ended = handle
        handle = nil
        try check("mdb_txn_commit", mdb_txn_commit(ended))
    }

    func abort() {
        if let handle { mdb_txn_abort(handle) }
        handle = nil
    }

    /// Shows a read-only transaction the newest snapshot.
    func renew() throws(KeyStoreFault) {
        mdb_txn_reset(handle)
        try check("mdb_txn_renew", mdb_txn_renew(handle))
    }

    /// Looks a key up: LMDB's code, and the value, which is good until the transaction ends or
    /// writes.
    func find(
        _ database: MDB_dbi, _ key: UnsafeRawBufferPointer
    ) -> (code: Int32, value: UnsafeRawBufferPointer) {
        var name = MDB_val(key)
        var value = MDB_val()
        let code = mdb_get(handle, database, &name, &value)
        return (code, UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
    }

    /// Keeps a value; LMDB's code.
    func put(
        _ database: MDB_dbi, _ key: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer,
        flags: Int32 = 0
    ) -> Int32 {
        var name = MDB_val(key)
        var value = MDB_val(bytes)
        return mdb_put(handle, database, &name, &value, UInt32(flags))
    }

    /// Deletes every entry whose key starts with `prefix`.
    func delete(_ database: MDB_dbi, prefix: [UInt8]) throws(KeyStoreFault) {
        var cursor: OpaquePointer?
        try check("mdb_cursor_open", mdb_cursor_open(handle, database, &cursor))
        defer { mdb_cursor_close(cursor) }
        while true {
            let code = prefix.withUnsafeBytes { bytes in
                var key = MDB_val(bytes)
                var value = MDB_val()
                let code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
                if code != 0 { return code }
                let found = UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size)
                return found.starts(with: prefix) ? 0 : MDB_NOTFOUND
            }
            if code == MDB_NOTFOUND { return }
            try check("mdb_cursor_get", code)
            try check("mdb_cursor_del", mdb_cursor_del(cursor, 0))
        }
    }

    func empty(_ database: MDB_dbi) throws(KeyStoreFault) {
        try check("mdb_drop", mdb_drop(handle, database, 0))
    }

    func entryCount(_ database: MDB_dbi) throws(KeyStoreFault) -> Int64 {
        var found = MDB_stat()
        try check("mdb_stat", mdb_stat(handle, database, &found))
        return Int64(found.ms_entries)
    }
}

/// What one snapshot holds. Belongs to one thread at a time.
final class KeyStoreView: FingerprintBase {
    private let store: KeyStore
    private let transaction: Transaction

    fileprivate init(_ store: KeyStore, _ transaction: Transaction) {
        self.store = store
        self.transaction = transaction
    }

    deinit { close() }

    /// Ends the view; it must not be used any more.
    func close() { transaction.abort() }

    /// Shows the newest snapshot from now on.
    func renew() throws(KeyStoreFault) { try transaction.renew() }

    /// The snapshot's head; nil if there is none, or none that is whole.
    func head() throws(KeyStoreFault) -> SnapshotHead? {
        let bytes = try get(store.heads, KeyStore.headKey)
        guard let head = bytes.flatMap({ SnapshotHead($0) }),
            try transaction.entryCount(store.fingerprints) == head.fingerprintCount
        else { return nil }
        return head
    }

    /// A set of integers; nil if it is not what its digest says.
    func integers(_ set: SnapshotHead.KeySet) throws(KeyStoreFault) -> IntegerSet? {
        guard let digest = set.digest else { return IntegerSet() }
        guard let bytes = try get(store.integers, key(set.number)), Digest(of: bytes) == digest
        else { return nil }
        return IntegerSet(bytes)
    }

    func position(of fingerprint: Fingerprint, set: UInt32) -> Int64? {
        do {
            return try get(store.fingerprints, key(set, fingerprint)).map(Self.position)
        } catch {
            // Going on would let a key be taken twice. The log is safe; the store can be deleted.
            preconditionFailure("the snapshot of the keys can be read: \(error)")
        }
    }

    fileprivate static func position(_ bytes: UnsafeRawBufferPointer) -> Int64 {
        precondition(bytes.count == 8, "a position in the snapshot has eight bytes")
        return Int64(littleEndian: bytes.loadUnaligned(as: Int64.self))
    }

    private func get(
        _ database: MDB_dbi, _ key: [UInt8]
    ) throws(KeyStoreFault) -> UnsafeRawBufferPointer? {
        try Self.value(key.withUnsafeBytes { transaction.find(database, $0) })
    }

    private func get(
        _ database: MDB_dbi, _ key: FingerprintName
    ) throws(KeyStoreFault) -> UnsafeRawBufferPointer? {
        try Self.value(withUnsafeBytes(of: key) { transaction.find(database, $0) })
    }

    private static func value(
        _ found: (code: Int32, value: UnsafeRawBufferPointer)
    ) throws(KeyStoreFault) -> UnsafeRawBufferPointer? {
        if found.code == MDB_NOTFOUND { return nil }
        try check("mdb_get", found.code)
        return found.value
    }
}

/// Changes a snapshot within one transaction.
struct KeyStoreWriter {
    private let store: KeyStore
    private let transaction: Transaction

    fileprivate init(_ store: KeyStore, _ transaction: Transaction) {
        self.store = store
        self.transaction = transaction
    }

    func put(_ head: SnapshotHead) throws(KeyStoreFault) {
        var head = head
        head.fingerprintCount = try transaction.entryCount(store.fingerprints)
        let bytes = head.serialize()
        let code = KeyStore.headKey.withUnsafeBytes { key in
            bytes.withUnsafeBytes { transaction.put(store.heads, key, $0) }
        }
        try check("mdb_put", code)
    }

    /// Keeps a set of integers and gives the digest of its bytes.
    func put(_ integers: IntegerSet, number: UInt32) throws(KeyStoreFault) -> Digest {
        let bytes = integers.serialize()
        return try bytes.withUnsafeBytes { (bytes) throws(KeyStoreFault) in
            let code = key(number).withUnsafeBytes {
                transaction.put(store.integers, $0, bytes)
            }
            try check("mdb_put", code)
            return Digest(of: bytes)
        }
    }

    /// Keeps a fingerprint that is new; where another key holds its place, the next free one.
    func put(
        _ fingerprint: Fingerprint, position: Int64, number: UInt32
    ) throws(KeyStoreFault) {
        var place = fingerprint
        while true {
            let code = withUnsafeBytes(of: key(number, place)) { key in
                withUnsafeBytes(of: position.littleEndian) { value in
                    transaction.put(store.fingerprints, key, value, flags: MDB_NOOVERWRITE)
                }
            }
            if code != MDB_KEYEXIST { return try check("mdb_put", code) }
            place = place.next
        }
    }

    /// Marks the fingerprint of a row as free, if it is there and is not marked yet.
    func free(_ fingerprint: Fingerprint, position: Int64, number: UInt32) throws(KeyStoreFault) {
        var place = fingerprint
        while true {
            let found = withUnsafeBytes(of: key(number, place)) {
                transaction.find(store.fingerprints, $0)
            }
            if found.code == MDB_NOTFOUND { return }
            try check("mdb_get", found.code)
            if KeyStoreView.position(found.value) == position {
                let code = withUnsafeBytes(of: key(number, place)) { key in
                    withUnsafeBytes(of: Fingerprint.freed.littleEndian) { value in
                        transaction.put(store.fingerprints, key, value)
                    }
                }
                return try check("mdb_put", code)
            }
            place = place.next
        }
    }

    /// Deletes all that the store holds.
    func deleteAll() throws(KeyStoreFault) {
        for database in [store.heads, store.integers, store.fingerprints] {
            try transaction.empty(database)
        }
    }

    /// Deletes all that a set holds.
    func delete(_ set: SnapshotHead.KeySet) throws(KeyStoreFault) {
        let database = set.isInteger ? store.integers : store.fingerprints
        try transaction.delete(database, prefix: key(set.number))
    }
}

/// A set's number, big endian so that a set's entries stand together.
private func key(_ number: UInt32) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
}

/// A fingerprint's name in the store: twenty bytes that sort by set, then by fingerprint.
private typealias FingerprintName = (UInt32, UInt32, UInt32, UInt32, UInt32)

private func key(_ set: UInt32, _ fingerprint: Fingerprint) -> FingerprintName {
    let (high, low) = (fingerprint.high, fingerprint.low)
    return (
        set.bigEndian, UInt32(high >> 32).bigEndian, UInt32(truncatingIfNeeded: high).bigEndian,
        UInt32(low >> 32).bigEndian, UInt32(truncatingIfNeeded: low).bigEndian
    )
}

private func check(_ call: String, _ code: Int32) throws(KeyStoreFault) {
    if code != 0 { throw KeyStoreFault(call, code) }
}

extension MDB_val {
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(
            mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}
