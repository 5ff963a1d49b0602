import Avro
import struct Crypto.SHA256
import DaybookLog
import DaybookProjections
import Synchronization

/// The rows of one file of a backup, read front to back and dealt out block by block.
///
/// Read for a restore, any difference from the manifest is an error: bytes, digest, rows. Read for
/// a verification, damage is told and passed over, so that the rows behind it are seen too.
final class BackupTableRows: BaseRows {
    /// What is done with a block that cannot be read.
    enum Damage: Sendable {
        /// An error is thrown.
        case refused
        /// The handler is told its offset in the file, and what is wrong.
        case passed(@Sendable (_ offset: Int, _ what: String) -> Void)
    }

    private struct State: ~Copyable {
        var decoder = ContainerDecoder()
        var buffer = ByteSink(capacity: BackupTableRows.readByteCount)
        var used = 0
        /// How much of the file was read.
        var byteCount: UInt64 = 0
        var hash = SHA256()
        var rowCount: Int64 = 0
        var isAtEnd = false
        var isDone = false
    }

    /// The file's header.
    let header: ContainerHeader
    let schema: AvroSchema.Record
    var rowCount: Int64 { entry.rows }
    private let storage: any BackupStorage
    private let backup: String
    private let entry: BackupManifest.TableEntry
    private let damage: Damage
    private let state: Mutex<State>

    /// How many bytes are read at a time.
    private static let readByteCount = 1 << 20

    /// Opens a file and reads its header.
    ///
    /// - Throws: `BackupError.storage`, and `.notProven` if the header cannot be read.
    init(
        _ storage: any BackupStorage, backup: String, entry: BackupManifest.TableEntry,
        damage: Damage = .refused
    ) throws {
        self.storage = storage
        self.backup = backup
        self.entry = entry
        self.damage = damage
        var state = State()
        var found: ContainerHeader?
        while found == nil {
            let rest = UnsafeRawBufferPointer(rebasing: state.buffer.unsafeBytes[state.used...])
            let step: ContainerDecoder.Step
            do throws(AvroContainerError) {
                step = try state.decoder.next(rest, isLast: state.isAtEnd)
            } catch {
                throw BackupError.notProven(backup, "\(entry.file): \(error.inWords)")
            }
            switch step {
            case .header(let header, let byteCount):
                found = header
                state.used += byteCount
            case .wants(let count):
                try BackupTableRows.fill(&state, to: count, storage, backup, entry.file)
            case .block, .end: preconditionFailure("a header comes first")
            }
        }
        guard let header = found, case .record(let record) = header.schema else {
            throw BackupError.notProven(backup, "\(entry.file) holds no records")
        }
        self.header = header
        schema = record
        self.state = Mutex(state)
    }

    func next() throws -> ContainerBlock? {
        try state.withLock { state in
            while !state.isDone {
                let rest = UnsafeRawBufferPointer(
                    rebasing: state.buffer.unsafeBytes[state.used...])
                let step: ContainerDecoder.Step
                do throws(AvroContainerError) {
                    step = try state.decoder.next(rest, isLast: state.isAtEnd)
                } catch {
                    try pass(error, &state)
                    continue
                }
                switch step {
                case .block(let block, let byteCount):
                    state.used += byteCount
                    state.rowCount += Int64(block.count)
                    return block
                case .wants(let count): try fill(&state, to: count)
                case .end: try finish(&state)
                case .header: preconditionFailure("the header was read")
                }
            }
            return nil
        }
    }

    /// Passes over a block that cannot be read, or refuses it.
    private func pass(_ error: AvroContainerError, _ state: inout State) throws {
        guard case .passed(let tell) = damage else {
            throw BackupError.notProven(
                backup, "\(entry.file), block at byte \(state.decoder.offset): \(error.inWords)")
        }
        tell(state.decoder.offset, error.inWords)
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: state.buffer.unsafeBytes[state.used...])
            if let count = state.decoder.skipDamage(rest) {
                state.used += count
                return
            }
            if state.isAtEnd {
                state.isDone = true
                return
            }
            let passed = max(0, rest.count - (SyncMarker.byteCount - 1))
            state.decoder.skip(passed)
            state.used += passed
            try fill(&state, to: rest.count - passed + 1)
        }
    }

    private func fill(_ state: inout State, to count: Int) throws {
        try BackupTableRows.fill(&state, to: count, storage, backup, entry.file)
    }

    /// Reads on until `count` bytes are at hand, or the file ends.
    private static func fill(
        _ state: inout State, to count: Int, _ storage: any BackupStorage, _ backup: String,
        _ file: String
    ) throws {
        state.buffer.removeFirst(state.used)
        state.used = 0
        let wanted = max(count - state.buffer.count, readByteCount)
        let offset = state.byteCount
        let before = state.buffer.count
        do throws(BackupStorageError) {
            try state.buffer.appendUninitialized(upTo: wanted) {
                (room) throws(BackupStorageError) in
                try storage.read(file, of: backup, at: offset, into: room)
            }
        } catch {
            throw BackupError.storage(error)
        }
        let read = UnsafeRawBufferPointer(rebasing: state.buffer.unsafeBytes[before...])
        state.hash.update(bufferPointer: read)
        state.byteCount += UInt64(read.count)
        state.isAtEnd = read.count < wanted
    }

    /// The file's end: what was read is held against the manifest.
    private func finish(_ state: inout State) throws {
        state.isDone = true
        guard case .refused = damage else { return }
        let digest = state.hash.finalize().withUnsafeBytes { Digest($0) }
        guard state.byteCount == entry.bytes, digest.description == entry.sha256,
            state.rowCount == entry.rows
        else {
            throw BackupError.notProven(
                backup, "\(entry.file) is not the file that the manifest describes")
        }
    }
}

extension AvroContainerError {
    /// What is wrong, for a person.
    var inWords: String {
        switch self {
        case .notAContainer: "no Avro container file"
        case .missingSchema, .schema: "the schema cannot be used"
        case .unknownCodec(let name): "compressed by \(name), which this program does not know"
        case .malformed(.truncated): "the file ends in the middle"
        case .malformed: "a length or count that cannot be"
        case .headerTooLarge, .blockTooLarge, .contentTooLarge: "larger than can be"
        case .badCompression: "the compressed bytes are damaged"
        case .badSyncMarker: "it does not end where it says"
        }
    }
}
