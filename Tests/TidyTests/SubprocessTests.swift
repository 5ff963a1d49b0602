import Foundation
import TestSupport
import Testing

/// The runner that other tests stand on.
@Suite struct SubprocessTests {
    @Test("A megabyte goes in and comes out whole")
    func echo() throws {
        var generator = SeededGenerator(seed: 1)
        let bytes = Data((0..<1 << 20).map { _ in UInt8.random(in: 0...255, using: &generator) })
        let result = try runTool("cat", [], input: bytes)
        #expect(result.status == 0)
        #expect(result.output == bytes)
    }

    @Test("Status, both outputs, folder and environment are the program's own")
    func status() throws {
        let folder = try TemporaryFolder()
        let script = "pwd; echo $COLOUR >&2; exit 3"
        let result = try runTool(
            "sh", ["-c", script], environment: ["COLOUR": "teal"], folder: folder.path)
        #expect(result.status == 3)
        #expect(result.text == folder.path + "\n")
        #expect(result.errorText == "teal\n")
        #expect(try runTool("sh", ["-c", "kill -9 $$"]).status == 128 + SIGKILL)
    }

    @Test("A program that hangs is killed with its children, and says what it was")
    func timeout() throws {
        let error = #expect(throws: TestSupportError.self) {
            try runTool("sh", ["-c", "echo stuck >&2; sleep 60 & wait"], timeoutSeconds: 0.2)
        }
        #expect(error?.description.contains("stuck") == true)
    }

    @Test("A missing tool names the command that installs it")
    func missing() {
        let error = #expect(throws: TestSupportError.self) { try requireTool("no-such-tool") }
        #expect(error?.description.contains("script/bootstrap") == true)
    }
}
