import DaybookLedger
import DaybookLog
import Logging
import ServiceLifecycle

/// Writes signed tree heads of a running server, when the log moved and the time has come.
struct AnchorWriter: Service {
    private let plan: AnchorPlan
    private let log: any LogSource
    private let key: SigningKey
    private let logger: Logger

    init(_ plan: AnchorPlan, composition: Composition) {
        self.plan = plan
        log = composition.log
        key = composition.signingKey
        logger = composition.logger
    }

    /// Writes until the server is to stop. What comes after that is for `write`, once the log is
    /// closed.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await write()
                try? await Task.sleep(for: .seconds(plan.everySeconds))
            }
        }
    }

    /// Writes one now. Whatever is in the way is said in the server's log, and tried again.
    func write() async {
        let folder = AnchorFolder(path: plan.folder)
        do {
            let outcome = try await offPool { [log, key] in try folder.write(log, key: key) }
            if case .written(let file) = outcome {
                logger.debug("the log was anchored", metadata: ["file": "\(file)"])
            }
        } catch {
            logger.error(
                "the log could not be anchored",
                metadata: ["why": "\(CommandFailure(error)?.message ?? "\(error)")"])
        }
    }
}
