import DaybookCatalog
import DaybookLog
import DaybookProjections
import DaybookSegments
import Postgres

/// Tries a backup out: holds it against itself and the log, restores it with the log's tail beside
/// the live tables, compares the two at one position, and throws the restored ones away.
public struct BackupDrill {
    /// What a drill came to.
    public struct Outcome: Sendable {
        /// What holding it against itself and the log found.
        public let verification: BackupVerification
        /// The restored tables and aggregates, each with its comparison; empty if the backup was
        /// not sound, and so not restored.
        public let projections: [RebuildReport]

        /// Whether nothing is wrong.
        public var isSound: Bool {
            verification.isSound && !projections.isEmpty
                && projections.allSatisfy { $0.comparison?.isEmpty == true }
        }

        /// What is wrong, in a sentence; nil if nothing is.
        public var summary: String? {
            if let summary = verification.summary { return summary }
            let different = projections.filter { $0.comparison?.isEmpty == false }
                .map(\.projection)
            let absent = projections.filter { $0.comparison == nil }.map(\.projection)
            if !different.isEmpty {
                return "restored, these are not as the live ones: "
                    + different.joined(separator: ", ") + "; `daybook verify tables` says which "
                    + "are as the log says"
            }
            if !absent.isEmpty || projections.isEmpty {
                return "there is nothing live to compare with: " + absent.joined(separator: ", ")
            }
            return nil
        }
    }

    private let source: BackupSource
    private let catalog: Catalog
    private let options: Restore.Options
    private let segments: any SegmentedLog
    private let log: () throws -> any LogSource
    private let connect: @Sendable () throws -> PostgresConnection
    private let clock: () -> Microseconds
    private let onProgress: @Sendable (RebuildProgress) -> Void
    private let isStopping: @Sendable () -> Bool

    /// A drill of `source`.
    ///
    /// - Parameters:
    ///   - segments: The log, to hold the backup against.
    ///   - log: The log as it is now, for its tail.
    ///   - connect: A new connection to Postgres; called on several threads.
    ///   - isStopping: Asked now and then whether to end.
    public init(
        _ source: BackupSource, catalog: Catalog, migrationsFolder: String, schema: String,
        segments: any SegmentedLog, log: @escaping () throws -> any LogSource,
        connect: @escaping @Sendable () throws -> PostgresConnection,
        clock: @escaping () -> Microseconds,
        isStopping: @escaping @Sendable () -> Bool = { false },
        onProgress: @escaping @Sendable (RebuildProgress) -> Void = { _ in }
    ) {
        self.source = source
        self.catalog = catalog
        self.segments = segments
        self.log = log
        self.connect = connect
        self.clock = clock
        self.onProgress = onProgress
        self.isStopping = isStopping
        var options = Restore.Options(migrationsFolder: migrationsFolder)
        options.schema = schema
        options.tables = source.manifest.tables.map(\.table).filter { table in
            catalog.table(named: table) != nil
        }
        options.isDryRun = true
        self.options = options
    }

    /// Drills. Blocks.
    ///
    /// - Throws: what a verification and a restore throw; what they find is no error.
    public func run(
        progress: BackupVerifier.Progress = { _, _ in }
    ) throws -> Outcome {
        let verification = try BackupVerifier(source, log: segments, catalog: catalog)
            .run(progress: progress)
        if isStopping() { throw BackupError.stopped }
        guard let proven = ProvenBackup(source, verification) else {
            return Outcome(verification: verification, projections: [])
        }
        let restore = Restore(
            from: proven, catalog: catalog, options: options, log: log, connect: connect,
            clock: clock, isStopping: isStopping, onProgress: onProgress)
        return Outcome(verification: verification, projections: try restore.run().projections)
    }
}
