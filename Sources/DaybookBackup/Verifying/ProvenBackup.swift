/// A backup whose files, signature and rows were held against its manifest and the log, and are
/// right: the only kind that is restored.
///
/// Its manifest was read once and stays in memory, and every byte that is read later is held
/// against that; so a file that is changed after the proof is refused all the same.
public struct ProvenBackup: Sendable {
    /// The backup.
    public let source: BackupSource

    /// Nil if the verification found anything wrong, or did not look into the log.
    init?(_ source: BackupSource, _ verification: BackupVerification) {
        guard verification.isSound, verification.isComparedWithLog,
            verification.backup == source.name
        else { return nil }
        self.source = source
    }
}

extension BackupVerifier {
    /// Verifies, for whoever restores.
    ///
    /// - Throws: `BackupError.notProven` with what is wrong; and as `run`.
    public func prove(progress: Progress = { _, _ in }) throws -> ProvenBackup {
        let verification = try run(progress: progress)
        guard let proven = ProvenBackup(source, verification) else {
            throw BackupError.notProven(
                source.name, verification.summary ?? "it was not held against the log")
        }
        return proven
    }
}
