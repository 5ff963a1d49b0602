import ArgumentParser
import DaybookSegments
import Foundation

/// `daybook torture`
struct TortureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "torture",
        abstract: "Try whether a disk is fit for a ledger: honest syncs, latency, kill -9.",
        discussion: """
            Example: daybook torture --data /var/lib/daybook --seconds 60

            It works in a folder of its own there, torture-PID, which it takes away again, and \
            touches nothing else: a ledger may be there and be served meanwhile, though both get \
            slower. It measures how long appends take until they are synced, asks the system what \
            the file system is and how it is mounted, reads back from the device what it wrote, \
            tries locks and renames, and kills writers of a real log with -9 at random moments: \
            every block that they had acknowledged must be there afterwards.

            What it cannot show is a drive that loses its cache when the power goes although it \
            said that it had written. Cutting the power does: see diskchecker.pl.

            Exit status: 0 fit, 3 acknowledged data was lost or changed, 1 anything else that \
            speaks against the disk (memory, syncs too fast to be honest, a lock that does not \
            hold, a call that was refused), or too little was measured.
            """)

    @Option(
        help: """
            The folder on the disk to be tried: a ledger's, or where one is to be. Environment: \
            DAYBOOK_DATA. Default: data.
            """)
    var data: String?

    @Option(help: "How long it may take, about; 5 to 86400.")
    var seconds: Double = 30

    @Flag(
        help: """
            Fill the file system too, if at most 1 GiB is free, to see how it says that it is \
            full. Not where something else writes.
            """)
    var fill = false

    @Flag(help: "Print one JSON object.")
    var json = false

    @Option(help: .hidden)
    var child: String?

    @Option(help: .hidden)
    var lock: String?

    func validate() throws {
        guard (5...86400).contains(seconds) else {
            throw ValidationError("--seconds is 5 to 86400.")
        }
    }

    func run() throws {
        if let child { try KilledWriter.run(log: child) }
        // Status 0 says that the lock could be taken.
        if let lock { Foundation.exit(DirectoryLock.isHeld(folder: lock) ? 1 : 0) }
        let interruption = Interruption()
        let report = TortureReport(try trial(interruption))
        if json { Console.writeJSON { report.write(to: &$0) } } else { Console.write(report.text) }
        switch report.verdict {
        case .fit: break
        case .loses: throw CommandFailure(.corrupt, report.verdict.sentence(report.trial))
        default: throw CommandFailure(.failed, report.verdict.sentence(report.trial))
        }
    }

    /// The folder is gone when this returns or throws.
    private func trial(_ interruption: Interruption) throws -> DiskTrial {
        var settings = Settings()
        settings.data = data
        let folder = try TrialFolder(under: settings.dataFolder)
        defer { folder.remove() }
        var run = try TortureRun(
            folder: try folder.make("trial"), seconds: seconds,
            fillByteCountMax: fill ? 1 << 30 : nil, interruption: interruption)
        return try run.run()
    }
}
