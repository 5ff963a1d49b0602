import DaybookServer
import Logging

/// The program's own log: JSON lines on standard error.
enum ServerLog {
    /// Sends all logging there; called once, by the command that serves.
    static func start() -> Logger {
        let level =
            Settings.environment("LOG_LEVEL").flatMap(Logger.Level.init(rawValue:)) ?? .info
        LoggingSystem.bootstrap { label in
            JSONLogHandler(label: label, level: level, clock: SystemClock.text)
        }
        return Logger(label: "daybook")
    }

    /// A log that nobody reads, for commands that speak for themselves.
    static var silent: Logger {
        Logger(label: "daybook") { _ in SwiftLogNoOpLogHandler() }
    }
}
