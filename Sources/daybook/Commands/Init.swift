import ArgumentParser
import Foundation

/// `daybook init DIR`
struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a catalog folder with the shipped projections/ and sql/, to edit.",
        discussion: "Example: daybook init shop && $EDITOR shop/projections/*.yaml")

    @Argument(help: "The folder to make.")
    var folder: String

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let shipped = try Settings.shippedCatalog()
        let manager = FileManager.default
        for name in ["projections", "sql"] {
            guard !manager.fileExists(atPath: "\(folder)/\(name)") else {
                throw CommandFailure(
                    .usage, "\(folder)/\(name) is there already; choose another folder")
            }
        }
        do {
            try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for name in ["projections", "sql"] {
                try manager.copyItem(atPath: "\(shipped)/\(name)", toPath: "\(folder)/\(name)")
            }
        } catch {
            throw CommandFailure(.failed, "\(folder): \(error.localizedDescription)")
        }
        if json {
            Console.writeJSON {
                $0.openObject()
                $0.field("catalog", folder)
                $0.closeObject()
            }
        } else {
            Console.write("\(folder) is a catalog: daybook serve --catalog \(folder)\n")
        }
    }
}
