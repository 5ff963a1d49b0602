import ArgumentParser
import DaybookBackup
import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import DaybookProjections
import DaybookServer
import Foundation
import Postgres
import S3

/// Why a command did not do what it was asked: a sentence that says what to do next, and a status.
struct CommandFailure: Error {
    let status: ExitStatus
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// What an error means to whoever typed the command; nil for errors of the parser.
    init?(_ error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as LogError: self.init(error)
        case let error as LedgerError: self.init(error)
        case let error as ImportError: self.init(error)
        case let error as KeyFileError: self.init(.failed, error.description)
        case let error as KeyRegistryError: self.init(error)
        case let error as CatalogError: self.init(.usage, error.description)
        case let error as IntakeError: self.init(.usage, error.description)
        case let error as RebuildError: self.init(error)
        case let error as DriftError: self.init(error)
        case let error as BackupError: self.init(error)
        case let error as S3Error: self.init(error)
        case let error as EventTextError: self.init(.corrupt, error.what)
        case let error as PostgresError: self.init(.unreachable, "Postgres: \(error)")
        case is ValidationError, is CleanExit, is ExitCode: return nil
        default:
            guard Daybook.exitCode(for: error) == .failure else { return nil }
            self.init(.failed, "\(error)")
        }
    }

    private init(_ error: LogError) {
        switch error {
        case .system(let call, let file, let code):
            self.init(.failed, "\(call) \(file): \(String(cString: strerror(code)))")
        case .diskFull(let file):
            self.init(.failed, "no space is left to write \(file); free some and try again")
        case .syncFailed(let file, let code):
            self.init(
                .corrupt,
                "the disk refused to sync \(file) (\(String(cString: strerror(code)))); what was "
                    + "not acknowledged may or may not be there: start again to find out")
        case .corrupt(let corruption):
            self.init(
                .corrupt,
                "the log is corrupt: \(corruption.file) at offset \(corruption.offset): "
                    + "\(corruption.what); everything below position \(corruption.position) can "
                    + "be read, but for what `daybook log verify` names besides; copy the folder, "
                    + "then see `daybook log repair --help`")
        case .locked(let holder):
            self.init(
                .failed, "another process has the ledger (\(holder)); wait for it, or stop it")
        case .notALedger(let folder):
            self.init(
                .usage, "\(folder) is no ledger; say where it is with --data")
        case .unsupportedVersion(let file, let version):
            self.init(
                .failed, "\(file) has format \(version), which this program is too old to read")
        case .outOfRange(let position):
            self.init(.usage, "the log has no position \(position); see `daybook status`")
        case .closed:
            self.init(.failed, "the ledger is closed")
        }
    }

    private init(_ error: KeyRegistryError) {
        switch error {
        case .file(let error): self.init(.failed, error.description)
        case .ledger(let error): self.init(error)
        case .unknownTable(let name, let known):
            self.init(
                .usage,
                "the dictionary has no table \(name); it has \(known.joined(separator: ", "))")
        }
    }

    init(_ error: S3Error) {
        let status: ExitStatus =
            switch error {
            case .configuration, .badURL: .usage
            case .refused(let status, _, _, _) where status < 500 && status != 429: .usage
            case .refused, .unreachable, .untrusted: .unreachable
            case .malformedAnswer, .tooLarge, .changed: .failed
            }
        self.init(status, error.description)
    }

    private init(_ error: RebuildError) {
        let status: ExitStatus =
            switch error {
            case .unknownProjection: .usage
            case .contradiction: .corrupt
            default: .failed
            }
        self.init(status, error.description)
    }

    private init(_ error: BackupError) {
        let status: ExitStatus =
            switch error {
            case .notFound, .refused, .badManifest: .usage
            case .contradiction: .corrupt
            case .storage(.remote): .unreachable
            default: .failed
            }
        self.init(status, error.description)
    }

    private init(_ error: DriftError) {
        if case .contradiction = error {
            self.init(.corrupt, "log and database are not of one past: \(error)")
        } else {
            self.init(.failed, error.description)
        }
    }

    private init(_ error: ImportError) {
        switch error {
        case .ledger(let error): self.init(error)
        case .intake(let error):
            var isDamaged = false
            if case .damaged = error { isDamaged = true }
            self.init(isDamaged ? .failed : .usage, error.description)
        case .source(let what): self.init(.failed, what)
        case .fileChanged:
            self.init(.failed, "the file changed while it was read; run the command again")
        }
    }

    private init(_ error: LedgerError) {
        switch error {
        case .log(let error): self.init(error)
        case .diskFull: self.init(.failed, "no space is left for the log; free some and try again")
        case .outcomeUnknown:
            self.init(
                .corrupt, "the disk refused a sync; run the command again: what is there is kept")
        case .clockHeld(let seconds):
            self.init(
                .failed, "the clock jumped by \(seconds) s, so appends wait; set it right")
        case .contradicted(let reason):
            self.init(.corrupt, "appends have stopped: \(reason); see docs/restore.md, scenario 3")
        case .dictionaryChanged:
            self.init(.failed, "the dictionary changed meanwhile; run the command again")
        case .state(let what):
            self.init(.failed, "\(what); delete the folder `state` of the data: it is made anew")
        case .queueFull(let seconds):
            self.init(.failed, "the ledger is busy; try again in \(seconds) s")
        case .idempotencyConflict(let batchID):
            self.init(.failed, "batch \(batchID) has the same key and other content")
        case .rejectionClosed(let position, let state):
            self.init(
                .failed, "the rejection at position \(position) is \(state.rawValue): nothing was "
                    + "done; see `daybook rejections show \(position)`")
        case .retractionBehind, .rowRetracted, .rowsReferred:
            self.init(.failed, "the log changed meanwhile; run the command again")
        case .closed: self.init(.failed, "the ledger is closed")
        }
    }
}
