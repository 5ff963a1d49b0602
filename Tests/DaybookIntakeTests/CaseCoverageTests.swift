import Foundation
import TestSupport
import Testing

@testable import DaybookIntake

@Suite("Cases of rows and the codes")
struct CaseCoverageTests {
    /// Nothing that is sent can provoke it, only a probe inside the judge: `internalFault` of
    /// JSONCaseTests does.
    private let unprovoked: Set<String> = ["internal"]
    /// A row of JSON has no fields to count, and no code of CSV's own.
    private let codesOfCSVAlone: Set<String> = ["wrong_field_count"]
    /// A row of CSV has its fields by their places.
    private let codesOfJSONAlone: Set<String> = ["duplicate_field", "unknown_field"]

    @Test("Every code is the verdict of a case, in each form that can have it")
    func codes() throws {
        let folder = "\(packageRoot)/Tests/IntegrationTests/cases"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        var found: [Character: Set<String>] = [:]
        for name in names where name.hasSuffix(".txt") {
            let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                let cells = "\(line) ".components(separatedBy: " | ")
                guard cells.count > 2 else { continue }
                let words = cells[2].split { !$0.isLetter && $0 != "_" }.map(String.init)
                for form in cells[0] { found[form, default: []].formUnion(words) }
            }
        }
        let all = Set(RejectionCode.allCases.map(\.name)).subtracting(unprovoked)
        for form: Character in ["J", "N"] {
            let missing = all.subtracting(codesOfCSVAlone).subtracting(found[form] ?? [])
            #expect(missing.isEmpty, "no case of \(form) has \(missing.sorted())")
        }
        let missing = all.subtracting(codesOfJSONAlone).subtracting(found["C"] ?? [])
        #expect(missing.isEmpty, "no case of C has \(missing.sorted())")
        #expect(found.values.allSatisfy { $0.isDisjoint(with: unprovoked) })
    }
}
