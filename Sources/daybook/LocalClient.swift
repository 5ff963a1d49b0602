import AsyncHTTPClient
import DaybookIntake
import DaybookLedger
import DaybookServer
import Foundation
import NIOCore

/// Talks to a running server over its local socket.
struct LocalClient {
    let socketPath: String

    /// How long a private Postgres that is being started is waited for.
    private static let patienceSeconds = 20.0

    /// The client of the server that runs on a ledger; nil if none answers.
    init?(dataFolder: String) {
        let socket = LocalSocket(dataFolder: dataFolder)
        guard socket.isAnswering, let path = socket.path else { return nil }
        socketPath = path
    }

    /// The server's status as it came: one JSON object.
    func status() async throws -> Data {
        try await answer(to: request("GET", "/local/v1/status"))
    }

    /// The status once the server knows where its Postgres is: a private one that is being started
    /// is waited for, so that the conninfo is there to be used.
    func settledStatus() async throws -> Data {
        struct Report: Decodable { let postgres_state: String }
        let deadline = ContinuousClock.now + .seconds(LocalClient.patienceSeconds)
        while true {
            let data = try await status()
            let report = try JSONDecoder().decode(Report.self, from: data)
            if report.postgres_state != "starting" || ContinuousClock.now > deadline { return data }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Sends a file to be imported; `body` gives its bytes.
    func importFile(
        _ file: ImportRequest, byteCount: Int64, body: FileChunks,
        limit: RejectLimit?, pass: ImportLimit.Pass
    ) async throws -> ImportReport {
        var query = [
            "table": file.table, "file": file.file, "digest": file.digest.description,
            "nonce": file.nonce, "max_rejects": limit?.text,
        ]
        switch pass {
        case .check: query["mode"] = "check"
        case .keepGood: query["mode"] = "keep-good"
        case .watched: break
        }
        switch file.format {
        case .csv(let header):
            query["format"] = "csv"
            query["header"] = header == .present ? "true" : "false"
        case .ndjson:
            query["format"] = "ndjson"
        case .avro:
            query["format"] = "avro"
        }
        var request = request("POST", LocalClient.uri("/local/v1/import", query))
        request.body = .stream(body, length: .known(byteCount))
        return try JSONDecoder().decode(ImportReport.self, from: await answer(to: request))
    }

    /// What the server answers to a request with a small body.
    struct Answer: Sendable {
        let status: UInt
        let body: Data
    }

    /// Sends a request and gives whatever is answered.
    ///
    /// - Throws: `CommandFailure` if nothing is answered.
    func send(
        _ method: String, _ path: String, query: [String: String?] = [:],
        contentType: String? = nil, body: Data? = nil
    ) async throws -> Answer {
        var request = request(method, LocalClient.uri(path, query))
        if let contentType { request.headers.add(name: "Content-Type", value: contentType) }
        if let body { request.body = .bytes(body) }
        do {
            let response = try await HTTPClient.shared.execute(
                request, timeout: LocalClient.patience)
            let bytes = try await response.body.collect(upTo: 64 << 20)
            return Answer(status: response.status.code, body: Data(bytes.readableBytesView))
        } catch {
            throw CommandFailure(
                .unreachable, "the server went away: \(error); run the command again")
        }
    }

    /// The answer's JSON as a value.
    ///
    /// - Throws: `CommandFailure` with the problem that is answered instead.
    func decode<Value: Decodable>(_ type: Value.Type, from answer: Answer) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: answer.body)
        } catch {
            throw failure(answer.status, answer.body)
        }
    }

    /// The failure that a problem's body describes.
    func failure(_ answer: Answer) -> CommandFailure { failure(answer.status, answer.body) }

    /// The events that `query` asks for, as the server sends them, until it ends.
    func events(_ query: [String: String], _ write: (UnsafeRawBufferPointer) -> Void) async throws {
        do {
            let response = try await HTTPClient.shared.execute(
                request("GET", LocalClient.uri("/v1/events", query)), timeout: LocalClient.patience)
            guard response.status == .ok else {
                let body = try await response.body.collect(upTo: 1 << 20)
                throw failure(response.status.code, Data(body.readableBytesView))
            }
            for try await buffer in response.body { buffer.withUnsafeReadableBytes(write) }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.unreachable, "the server went away: \(error)")
        }
    }

    private static func uri(_ path: String, _ query: [String: String?]) -> String {
        var components = URLComponents()
        components.path = path
        components.queryItems = query.compactMap { name, value in
            value.map { URLQueryItem(name: name, value: $0) }
        }
        // `+` stands for itself in a URL and for a space in a form.
        components.percentEncodedQuery = components.percentEncodedQuery?
            .replacing("+", with: "%2B")
        return components.string ?? path
    }

    /// How long an answer may take: an import is as long as its file, and who follows stays.
    private static let patience = TimeAmount.hours(24 * 365)

    private func request(_ method: String, _ uri: String) -> HTTPClientRequest {
        let url = URL(httpURLWithSocketPath: socketPath, uri: uri)
        var request = HTTPClientRequest(url: url?.absoluteString ?? "")
        request.method = .RAW(value: method)
        request.headers.add(name: "Daybook-User", value: NSUserName())
        return request
    }

    private func answer(to request: HTTPClientRequest) async throws -> Data {
        let response: HTTPClientResponse
        let body: ByteBuffer
        do {
            response = try await HTTPClient.shared.execute(request, timeout: LocalClient.patience)
            body = try await response.body.collect(upTo: 64 << 20)
        } catch {
            throw CommandFailure(
                .unreachable,
                "the server went away: \(error); start it and run the command again, "
                    + "it goes on where the log ends")
        }
        let data = Data(body.readableBytesView)
        guard response.status == .ok else { throw failure(response.status.code, data) }
        return data
    }

    private struct ProblemBody: Decodable {
        let type: String
        let title: String
        let detail: String
    }

    private func failure(_ status: UInt, _ data: Data) -> CommandFailure {
        guard let problem = try? JSONDecoder().decode(ProblemBody.self, from: data) else {
            return CommandFailure(.failed, "the server answered \(status)")
        }
        let isLogFault =
            problem.type.hasSuffix("log-corrupt")
            || problem.type.hasSuffix("outcome-unknown")
        let isFailure = status >= 500 || problem.type.hasSuffix(Problem.damagedFile)
        let exit: ExitStatus = isLogFault ? .corrupt : isFailure ? .failed : .usage
        return CommandFailure(exit, "\(problem.title): \(problem.detail)")
    }
}

/// A file's bytes in large pieces, and how far they are read.
struct FileChunks: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    typealias Failure = any Error

    let path: String
    /// Called with the count of bytes read so far.
    let onProgress: @Sendable (Int64) -> Void

    func makeAsyncIterator() -> Iterator { Iterator(chunks: self) }

    struct Iterator: AsyncIteratorProtocol {
        private static let chunkByteCount = 1 << 20
        private let chunks: FileChunks
        private var file: FileHandle?
        private var byteCount: Int64 = 0

        init(chunks: FileChunks) { self.chunks = chunks }

        mutating func next() async throws -> ByteBuffer? {
            let file =
                try self.file ?? FileHandle(forReadingFrom: URL(fileURLWithPath: chunks.path))
            self.file = file
            guard let data = try file.read(upToCount: Iterator.chunkByteCount), !data.isEmpty
            else { return nil }
            byteCount += Int64(data.count)
            chunks.onProgress(byteCount)
            return ByteBuffer(bytes: data)
        }
    }
}
