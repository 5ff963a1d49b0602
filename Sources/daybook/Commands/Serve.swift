import ArgumentParser
import DaybookSegments
import DaybookServer
import Foundation
import Logging
import NIOCore
import ServiceLifecycle

/// `daybook serve`
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the server: take batches by HTTP, keep them, project them into Postgres.",
        discussion: """
            Example: daybook serve --data shop --catalog shop/catalog --listen 0.0.0.0:8080

            With --backup-every it makes backups by itself, and with --backup-keep it takes old \
            ones away; see docs/backups.md. With --anchor it writes signed tree heads elsewhere; \
            see docs/proofs.md.

            Stops in good order on SIGTERM and SIGINT. On SIGHUP it looks at the catalog folder \
            again, and at certificate and key: good ones are taken up by a restart within the \
            process, bad ones are reported and left. Its own log is JSON lines on standard error.
            """)

    @OptionGroup var settings: Settings

    @Option(help: "HOST:PORT. Environment: DAYBOOK_LISTEN. Default: 127.0.0.1:8080.")
    var listen: String?

    @OptionGroup(title: "The door") var door: DoorOptions
    @OptionGroup(title: "Backups") var backups: BackupOptions
    @OptionGroup(title: "Anchors") var anchors: AnchorOptions
    @OptionGroup(title: "Limits") var limits: RateLimitOptions
    @OptionGroup(title: "The log") var scrub: ScrubOptions

    func validate() throws {
        _ = try address()
        _ = try limits.limiter()
        _ = try anchors.plan()
        _ = try backups.plan(settings)
        _ = try scrub.plan()
    }

    func run() async throws {
        let (host, port) = try address()
        let logger = ServerLog.start()
        // A bad certificate is said before the ledger is opened.
        _ = try door.tls()
        let reload = ReloadSignal(logger: logger) { [settings, door] in
            try Composition.checkCatalog(settings)
            _ = try door.tls()
        }
        // A file of keys that others can change is no reason to make or open a ledger.
        _ = try KeyChanges.file(settings).list()
        let composition = try Composition.open(settings, logger: logger)
        let socket = LocalSocket(dataFolder: settings.dataFolder)
        let scrubber = try LogScrubber(scrub, of: composition)
        scrubber?.start()
        let result: Result<Void, any Error>
        do {
            try await serve(
                composition, scrubber, reload, host: host, port: port, socket: socket.prepare())
            result = .success(())
        } catch {
            result = .failure(error)
        }
        socket.remove()
        if let scrubber { try await offPool { scrubber.stop() } }
        do {
            try await composition.close()
        } catch {
            // What ended the server says more than what the end met.
            try result.get()
            throw error
        }
        try await anchorWriter(composition)?.write()
        try result.get()
        logger.info("stopped")
        if reload.wantsRestart { throw ReloadSignal.beginAgain() }
    }

    private func serve(
        _ composition: Composition, _ scrubber: LogScrubber?, _ reload: ReloadSignal,
        host: String, port: Int, socket: String
    ) async throws {
        let logger = composition.logger
        composition.projections.start()
        let keys = KeyFile(
            path: settings.dataFolder + "/keys.json", extraKey: Settings.environment("API_KEY")
        ) { logger.error("no key is taken", metadata: ["error": "\($0)"]) }
        let keeper = try backupKeeper(composition)
        var parts = composition.serverParts(keys: keys, backups: keeper)
        try door.apply(to: &parts)
        if let scrubber {
            parts.logSize = { [log = composition.log] in scrubber.add(to: log.sizeForStatus) }
        }
        parts.limiter = try limits.limiter()
        await record(parts.keyRegistry, logger)
        let server = LedgerServer(parts)
        let application = try server.application(host: host, port: port) { bound in
            logger.info("listening", metadata: ["host": "\(host)", "port": "\(bound ?? port)"])
        }
        let local = server.localApplication(socketPath: socket) { chmod(socket, 0o600) }
        let anchorService = try anchorWriter(composition).map {
            [ServiceGroupConfiguration.ServiceConfiguration(service: $0)]
        }
        var configuration = ServiceGroupConfiguration(
            services: (anchorService ?? []) + [
                .init(
                    service: composition.failure, successTerminationBehavior: .ignore,
                    failureTerminationBehavior: .gracefullyShutdownGroup),
                .init(service: reload, successTerminationBehavior: .gracefullyShutdownGroup),
                .init(service: local), .init(service: application),
                // The last one is the first to stop: whoever waits for a backup is still answered.
                .init(service: keeper),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        do {
            let group = ServiceGroup(configuration: configuration)
            reload.onAccepted { await group.triggerGracefulShutdown() }
            try await group.run()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw CommandFailure(
                .unreachable, "\(host):\(port) is taken; choose another with --listen HOST:PORT")
        }
    }

    /// Before anybody is let in the log knows every key; those that it does not know wait.
    private func record(_ keys: KeyRegistry?, _ logger: Logger) async {
        do throws(KeyRegistryError) {
            try await keys?.recordChanges(startingAs: "local:" + NSUserName())
        } catch {
            logger.error(
                "a change of the keys is not in the log, and new keys are not taken",
                metadata: ["error": "\(error)"])
        }
    }

    private func backupKeeper(_ composition: Composition) throws -> ServerBackups {
        let work = BackupWork(
            try backups.plan(settings), settings: settings, composition: composition,
            catalogFolder: try settings.catalogFolder())
        return ServerBackups(work, logger: composition.logger)
    }

    private func anchorWriter(_ composition: Composition) throws -> AnchorWriter? {
        try anchors.plan().map { AnchorWriter($0, composition: composition) }
    }

    private func address() throws -> (host: String, port: Int) {
        let text = listen ?? Settings.environment("LISTEN") ?? "127.0.0.1:8080"
        guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
            let port = UInt16(text[text.index(after: colon)...])
        else { throw ValidationError("--listen is HOST:PORT, such as 127.0.0.1:8080.") }
        let host = text[..<colon].trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        return (host, Int(port))
    }
}
