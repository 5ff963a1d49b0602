import ArgumentParser
import DaybookServer
import Foundation

/// `daybook keys …`
struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, list and revoke the keys by which HTTP clients come in.",
        discussion: """
            Example: daybook keys create shop --scope append --table orders

            A change acts at once, in a running server too, and is an event of the log, with your \
            name: daybook log cat --verdict control.
            """,
        subcommands: [Create.self, List.self, Revoke.self, Ledger.self])

    /// `daybook keys create NAME`
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key. It is shown once and kept nowhere.",
            discussion: "Example: daybook keys create dev --scope append,read,audit,admin --json")

        @Argument(help: "What the log calls whoever uses the key.")
        var name: String

        @Option(help: "What it may do: append, read, audit, admin; several with commas.")
        var scope: [String]

        @Option(help: "A table it may touch; may be repeated. All tables unless given.")
        var table: [String] = []

        @OptionGroup var settings: Settings

        @Flag(help: "Print one JSON object.")
        var json = false

        private var scopes: [Scope]? {
            let names = scope.flatMap { $0.split(separator: ",").map(String.init) }
            let scopes = names.compactMap(Scope.init)
            guard scopes.count == names.count, !scopes.isEmpty else { return nil }
            return Scope.allCases.filter(scopes.contains)
        }

        func validate() throws {
            if scopes == nil {
                throw ValidationError("--scope is one or several of append, read, audit, admin.")
            }
        }

        func run() async throws {
            let made = try await KeyChanges(settings: settings).create(
                KeyChanges.Wanted(
                    name: name, scopes: scopes ?? [], tables: table.isEmpty ? nil : table))
            guard json else {
                let key = try JSONDecoder().decode(KeyChanges.Made.self, from: made)
                Console.write("\(key.key)\n")
                Console.error("This is the key of \(name). It is not shown again.")
                return
            }
            made.withUnsafeBytes { Console.write($0) }
            Console.write("\n")
        }
    }

    /// `daybook keys list`
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the keys: their names and what they may do.",
            discussion: "Example: daybook keys list --json")

        @OptionGroup var settings: Settings

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            let keys = try KeyChanges.file(settings).list()
            guard json else {
                for key in keys {
                    let tables = key.tables.map { " on " + $0.joined(separator: ", ") } ?? ""
                    let scopes = key.scopes.map(\.rawValue).joined(separator: ", ")
                    let time = key.createdAtMicroseconds.map {
                        ", made " + JSONWriter.text(time: $0)
                    }
                    Console.write("\(key.name): \(scopes)\(tables)\(time ?? "")\n")
                }
                return
            }
            Console.writeJSON { json in
                json.openObject()
                json.key("keys")
                json.openArray()
                for key in keys {
                    json.openObject()
                    json.field("name", key.name)
                    key.writeFacts(to: &json)
                    json.closeObject()
                }
                json.closeArray()
                json.closeObject()
            }
        }
    }

    /// `daybook keys revoke NAME`
    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a key away. Whoever uses it is refused from now on.",
            discussion: """
                Example: daybook keys revoke dev

                The key is taken away first and the log told then. If that fails the command says \
                so, and run again it tells the log.
                """)

        @Argument(help: "The key's name.")
        var name: String

        @OptionGroup var settings: Settings

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() async throws {
            try await KeyChanges(settings: settings).revoke(name: name)
            guard json else { return Console.write("\(name) is revoked\n") }
            Console.writeJSON { json in
                json.openObject()
                json.field("name", name)
                json.field("revoked", true)
                json.closeObject()
            }
        }
    }

    /// `daybook keys ledger`
    struct Ledger: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the public key by which the ledger signs, in PEM.",
            discussion: """
                Example: daybook keys ledger > ledger.pub && openssl pkeyutl -verify -pubin \
                -inkey ledger.pub -rawin -in manifest.json -sigfile manifest.sig
                """)

        @OptionGroup var settings: Settings

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            guard let key = BackupPlace.trustedKey(settings) else {
                throw CommandFailure(
                    .usage,
                    "\(settings.dataFolder) has no ledger.key; it is made with the ledger, or by "
                        + "its first start under this version")
            }
            guard json else { return Console.write(key.pem) }
            Console.writeJSON { json in
                json.openObject()
                json.field("algorithm", "Ed25519")
                json.field("public_key", key.description)
                json.field("pem", key.pem)
                json.closeObject()
            }
        }
    }
}
