import ArgumentParser
import Foundation

/// Where things are: flags, then the environment, then the default.
struct Settings: ParsableArguments {
    @Option(help: "The ledger's folder. Environment: DAYBOOK_DATA. Default: data.")
    var data: String?

    @Option(
        help: """
            The folder with projections/ and sql/. Environment: DAYBOOK_CATALOG. Default: the \
            current folder if it has projections/, else the shipped one.
            """)
    var catalog: String?

    @Option(
        help: """
            A Postgres URL, or `embedded` for a private cluster. Environment: DAYBOOK_POSTGRES. \
            Default: embedded.
            """)
    var postgres: String?

    var dataFolder: String { absolute(data ?? Settings.environment("DATA") ?? "data") }
    var postgresTarget: String { postgres ?? Settings.environment("POSTGRES") ?? "embedded" }

    /// The folder with `projections/` and `sql/`.
    func catalogFolder() throws(CommandFailure) -> String {
        if let given = catalog ?? Settings.environment("CATALOG") {
            guard isCatalog(given) else {
                throw CommandFailure(
                    .usage,
                    "\(given) has no folder projections/; make one with daybook init \(given)")
            }
            return absolute(given)
        }
        let current = FileManager.default.currentDirectoryPath
        return isCatalog(current) ? current : try Settings.shippedCatalog()
    }

    /// The catalog that comes with the program: it stands above the executable.
    static func shippedCatalog() throws(CommandFailure) -> String {
        let manager = FileManager.default
        let program = (try? manager.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        var folder = URL(fileURLWithPath: program).deletingLastPathComponent()
        while true {
            let path = folder.path
            if manager.fileExists(atPath: path + "/projections"),
                manager.fileExists(atPath: path + "/sql")
            {
                return path
            }
            if path == "/" { break }
            folder.deleteLastPathComponent()
        }
        throw CommandFailure(
            .usage, "no catalog here; make one with `daybook init DIR` and say --catalog DIR")
    }

    /// A variable of the environment; an empty one counts as none.
    static func environment(_ name: String) -> String? {
        guard let value = ProcessInfo.processInfo.environment["DAYBOOK_" + name], !value.isEmpty
        else { return nil }
        return value
    }

    private func isCatalog(_ folder: String) -> Bool {
        FileManager.default.fileExists(atPath: folder + "/projections")
    }

    private func absolute(_ path: String) -> String {
        URL(fileURLWithPath: path).standardizedFileURL.path
    }
}
