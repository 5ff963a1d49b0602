import Foundation
import TestSupport

/// Targets and what each may import, as the package description has them.
struct PackageLayers: Sendable {
    /// Each target's declared dependencies: targets, and products of other packages.
    let dependencies: [String: Set<String>]

    /// The modules from the bottom up: each may depend only on those before it. The order is that
    /// of the table in docs/architecture.md. C libraries stand below all and depend on nothing.
    static let ladder = [
        "Avro", "Postgres", "S3", "DaybookLog", "DaybookSegments", "DaybookCatalog",
        "DaybookIntake", "DaybookLedger", "DaybookProjections", "DaybookBackup", "DaybookServer",
        "daybook",
    ]

    /// What belongs to the language and its platform, free for all.
    private static let platform: Set<String> = [
        "Dispatch", "Foundation", "FoundationEssentials", "FoundationNetworking", "Glibc",
        "RegexBuilder", "Swift", "Synchronization", "Testing",
    ]

    /// Pairs that the order allows and the design forbids.
    private static let forbidden: [(module: String, dependency: String, why: String)] = [
        ("DaybookServer", "Postgres", "the server sees protocols, never libpq"),
        ("DaybookServer", "DaybookSegments", "the server sees protocols, never files"),
        ("DaybookCatalog", "DaybookLog", "the catalog does not know the log"),
        ("Postgres", "Avro", "the generic libraries import nothing of ours"),
        ("S3", "Avro", "the generic libraries import nothing of ours"),
        ("S3", "Postgres", "the generic libraries import nothing of ours"),
    ]

    /// Faults of the description itself: steps up the ladder.
    func findings() -> [Finding] {
        var found: [String] = []
        for (module, declared) in dependencies.sorted(by: { $0.key < $1.key }) {
            guard let rank = Self.ladder.firstIndex(of: module) else { continue }
            for dependency in declared.sorted() {
                if let other = Self.ladder.firstIndex(of: dependency), other >= rank {
                    found.append("\(module) depends on \(dependency), which stands above it")
                }
                for rule in Self.forbidden where rule == (module, dependency, rule.why) {
                    found.append("\(module) depends on \(dependency): \(rule.why)")
                }
            }
        }
        let upper = Set(Self.ladder.suffix(2))
        for (target, declared) in dependencies where !target.hasSuffix("Tests") {
            let taken = declared.intersection(upper)
            if target != "daybook", !taken.isEmpty {
                found.append("\(target) depends on \(taken.sorted().joined(separator: ", "))")
            }
        }
        return found.map { Finding(path: "Package.swift", line: 1, what: $0) }
    }

    /// Imports of one file that its target does not declare.
    func findings(in source: SourceText) -> [Finding] {
        let folders = source.path.split(separator: "/").map(String.init)
        guard folders.count > 2, let declared = dependencies[folders[1]] else {
            return [Finding(path: source.path, line: 1, what: "belongs to no target")]
        }
        return source.code.enumerated().compactMap { index, code in
            guard let module = Self.importedModule(code), module != folders[1],
                !declared.contains(module), !Self.platform.contains(module)
            else { return nil }
            return Finding(
                path: source.path, line: index + 1,
                what: "\(folders[1]) imports \(module) without declaring it")
        }
    }

    /// The module of an import declaration: attributes, access and `import struct A.B` included.
    private static func importedModule(_ code: String) -> String? {
        let words = code.split(separator: " ").map(String.init)
        guard let position = words.firstIndex(of: "import"),
            words[..<position].allSatisfy({ word in
                word.hasPrefix("@") || ["public", "package", "internal", "private"].contains(word)
            })
        else { return nil }
        let kinds: Set<String> = [
            "struct", "class", "enum", "protocol", "typealias", "func", "var", "let",
        ]
        let name = words[(position + 1)...].first { !kinds.contains($0) }
        return name.map { String($0.prefix { $0 != "." }) }
    }
}

extension PackageLayers {
    /// Reads the description as SwiftPM understands it.
    ///
    /// The scratch folder keeps it from waiting for the build that runs this very test.
    static func ofThisPackage() throws -> PackageLayers {
        let scratch = try TemporaryFolder()
        let result = try runTool(
            "swift", ["package", "dump-package", "--scratch-path", scratch.path],
            folder: packageRoot)
        let package = try JSONDecoder().decode(Description.self, from: result.output)
        let pairs = package.targets.map { target in
            (target.name, Set(target.dependencies.compactMap { $0.name }))
        }
        return PackageLayers(dependencies: Dictionary(uniqueKeysWithValues: pairs))
    }

    /// The few fields of `swift package dump-package` that count here.
    private struct Description: Decodable {
        let targets: [Target]

        struct Target: Decodable {
            let name: String
            let dependencies: [Dependency]
        }

        /// One of `byName`, `product` and `target`, each an array that begins with the name.
        struct Dependency: Decodable {
            let name: String?

            init(from decoder: any Decoder) throws {
                let byKind = try decoder.singleValueContainer()
                    .decode([String: [Element]].self)
                if case .name(let name) = byKind.values.first?.first {
                    self.name = name
                } else {
                    name = nil
                }
            }
        }

        enum Element: Decodable {
            case name(String)
            case other

            init(from decoder: any Decoder) throws {
                let value = try? decoder.singleValueContainer().decode(String.self)
                self = value.map(Element.name) ?? .other
            }
        }
    }
}
