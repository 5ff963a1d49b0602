import DaybookIntake
import Foundation
import TestSupport
import Testing

@testable import DaybookServer

@Suite("The page about HTTP")
struct DocumentationTests {
    private func page() throws -> String {
        try String(contentsOfFile: packageRoot + "/docs/http.md", encoding: .utf8)
    }

    /// What the server's sources name as kinds of problems.
    private func kinds() throws -> Set<String> {
        let folder = packageRoot + "/Sources/DaybookServer"
        let files = try #require(FileManager.default.enumerator(atPath: folder))
        var kinds: Set<String> = []
        for case let file as String in files where file.hasSuffix(".swift") {
            let text = try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
            let made = #/(?:Problem|init)\(\s*[a-zA-Z.]+,\s*"([a-z]+(?:-[a-z]+)*)",\s*title:/#
            let short = #/(?:badRequest|absent|conflict)\(\s*"([a-z]+(?:-[a-z]+)*)",/#
            for match in text.matches(of: made) { kinds.insert(String(match.1)) }
            for match in text.matches(of: short) { kinds.insert(String(match.1)) }
        }
        return kinds
    }

    @Test("Every kind of problem that the server can answer stands on it")
    func problems() throws {
        let page = try page()
        let kinds = try kinds()
        #expect(kinds.count > 40)
        // Of the local socket, which is no part of the interface.
        let local: Set = ["file-changed", "key-exists", "keys-unusable"]
        for kind in kinds.subtracting(local).sorted() {
            let isThere = page.contains("`\(kind)`")
            #expect(isThere, "\(kind)")
        }
    }

    @Test("Every code of a reason stands on it, in their order")
    func codes() throws {
        let page = try page()
        let names = RejectionCode.allCases.map { "`\($0.name)`" }
        let start = try #require(page.range(of: "**Codes of reasons**")).lowerBound
        let places = names.map { page[start...].range(of: $0)?.lowerBound }
        #expect(places.allSatisfy { $0 != nil }, "\(names)")
        #expect(places.compactMap(\.self) == places.compactMap(\.self).sorted())
    }

    @Test("Every path of the router stands on it")
    func paths() async throws {
        let page = try page().replacing("`, `", with: "\n").replacing("…", with: "/v1/rejections/x")
        try await withServer { client, _, _ in
            let document = try await client.get("/openapi.json", key: nil).json
            let paths = try #require(document["paths"] as? [String: Any])
            for path in paths.keys {
                let generic = path.replacing("/jobs", with: "/{table}")
                    .replacing("/departments", with: "/{table}")
                let last = generic.split(separator: "/").last.map(String.init) ?? ""
                #expect(page.contains(generic) || page.contains("/" + last), "\(generic)")
            }
        }
    }

    @Test("The limits are those that the server has")
    func limits() throws {
        let page = try page()
        let limits = ServerLimits()
        for text in [
            "| \(limits.bodyByteCount >> 20) MiB | 413",
            "| \(limits.headByteCount >> 10) KiB, \(limits.headFieldCount) fields | 431",
            "| \(limits.headSeconds) s | 408", "| \(limits.idleSeconds) s | closed",
            "| \(limits.bodySeconds) s, then \(limits.bodyBytesPerSecond >> 10) KiB a second | 408",
            "| \(limits.stallSeconds) s | closed",
            "| \(limits.lingerSeconds) s, \(limits.lingerByteCount >> 20) MiB | closed",
            "| \(limits.bodiesByteCount >> 20) MiB | 503; bodies that are slow then have "
                + "\(limits.pressedSeconds) s",
            "| \(limits.answersByteCount >> 20) MiB | those of which",
        ] { #expect(page.contains(text), "\(text)") }
        #expect(limits.connectionCount == 4096 && page.contains("4,096"))
    }
}
