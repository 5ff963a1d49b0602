import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Rejected bytes") struct RejectedBytes {
        private static let logins = """
            table: logins
            key: [id]
            rejectedRaw: MODE
            columns:
              - {name: id, type: integer, max: 99}
              - {name: word, type: string, maxLength: 40, pattern: '[a-z]*'}
            """

        /// Rejected in every way that quotes values, over HTTP and from a file; and no batch.
        private func sendRejected(_ secret: String, _ daybook: DaybookServer) async throws {
            let rows = [
                #"{"id":"\#(secret)","word":"a"}"#, #"{"id":1,"word":"\#(secret)"}"#,
                #"{"id":1,"word":"a","\#(secret)":1}"#, #"{"id":1,"word":{"\#(secret)":1}}"#,
                #"{"\#(secret)}"#,
            ]
            for row in rows + [secret + String(repeating: "x", count: 70_000)] {
                let answer = try await daybook.client.append(row, to: "logins")
                #expect(answer.status == 400)
            }
            let file = daybook.folder.path("logins.csv")
            let lines = "\(secret),a\n1,\(secret)\n1,\"\(secret)\n"
            try lines.write(toFile: file, atomically: true, encoding: .utf8)
            #expect(try daybook.run(["import", "logins", file]).status == 0)
            try FileManager.default.removeItem(atPath: file)
            try await daybook.waitUntilProjected("logins")
        }

        /// Where the secret is: in the log by a stock `lz4`, in Postgres by psql, in what the
        /// server said, in any file of the data folder as it lies there.
        private func places(of secret: String, _ daybook: DaybookServer) throws -> Set<String> {
            var places: Set<String> = []
            for segment in try daybook.segments {
                let log = try runTool("lz4", ["-dc", segment])
                #expect(log.status == 0)
                if log.output.range(of: Data(secret.utf8)) != nil { places.insert("log") }
            }
            let rows = try daybook.sql(
                "SELECT convert_from(raw, 'UTF8'), reasons FROM daybook.rejections")
            if rows.contains(secret) { places.insert("postgres") }
            if daybook.process?.errorText.contains(secret) ?? false { places.insert("server") }
            let events = try daybook.run(["log", "cat", "--rejected"])
            if events.text.contains(secret) { places.insert("cat") }
            let grep = try runTool("grep", ["-r", "-l", "-a", "-F", secret, daybook.data])
            #expect(grep.status < 2, "\(grep.errorText)")
            if grep.status == 0 { places.insert("files") }
            return places
        }

        @Test("With digest no file, table or message has a rejected row's bytes; with full they do")
        func secrets() async throws {
            let folder = try TemporaryFolder()
            func catalog(_ mode: String) throws -> String {
                let path = folder.path(mode)
                let files = FileManager.default
                try files.createDirectory(
                    atPath: "\(path)/projections", withIntermediateDirectories: true)
                try files.copyItem(atPath: "\(packageRoot)/sql", toPath: "\(path)/sql")
                try files.removeItem(atPath: "\(path)/sql/reports")
                try files.createDirectory(
                    atPath: "\(path)/sql/reports", withIntermediateDirectories: true)
                let text = Self.logins.replacingOccurrences(of: "MODE", with: mode)
                try folder.write(text, to: "\(mode)/projections/logins.yaml")
                return path
            }
            try await withDaybook(catalog: catalog("digest")) { daybook in
                let secret = "Hunter2SecretOfTheFirst"
                try await sendRejected(secret, daybook)
                let none = try places(of: secret, daybook)
                #expect(none.isEmpty, "\(none)")
                let digests = try daybook.sql(
                    """
                    SELECT count(*), count(raw_digest), max(octet_length(raw)),
                           max(raw_length), count(DISTINCT raw_digest)
                    FROM daybook.rejections
                    """)
                #expect(digests == "9,9,0,\(70_000 + secret.count),9\n")

                // The other way from the next segment on; the same log is read and verified.
                try daybook.stop()
                daybook.use(catalog: try catalog("full"))
                try await daybook.start()
                let other = "Hunter3SecretOfTheSecond"
                try await sendRejected(other, daybook)
                #expect(try places(of: other, daybook).isSuperset(of: ["log", "postgres", "cat"]))
                #expect(try places(of: secret, daybook).isEmpty)
                #expect(try daybook.run(["log", "verify"]).status == 0)
                try daybook.stop()
                let log = "\(daybook.data)/log"
                let reader = try runTool(
                    pythonPath, ["\(packageRoot)/eventlog/read.py", log, "--rows"])
                #expect(reader.status == 0, "\(reader.errorText)")
                #expect(reader.text.contains(other) && !reader.text.contains(secret))
            }
        }
    }
}
