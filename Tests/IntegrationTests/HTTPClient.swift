import Foundation
import FoundationNetworking

/// What the server answered.
struct HTTPAnswer: Sendable {
    let status: Int
    let body: Data
    private let headers: [String: String]

    init(_ response: HTTPURLResponse, body: Data) {
        status = response.statusCode
        self.body = body
        headers = Dictionary(
            response.allHeaderFields.map { ("\($0.key)".lowercased(), "\($0.value)") }
        ) { first, _ in first }
    }

    /// A header's value, whatever the case of its name.
    func header(_ name: String) -> String? { headers[name.lowercased()] }

    /// The body as an append's answer.
    func verdicts() throws -> Verdicts { try JSONDecoder().decode(Verdicts.self, from: body) }

    var text: String { String(decoding: body, as: UTF8.self) }
}

/// The body of an append's answer, as docs promise it; only what the tests look at.
struct Verdicts: Decodable {
    let batch_id: String
    let table: String
    let position: Int
    let rows: Int
    let accepted: Int
    let rejected: [Rejected]

    struct Rejected: Decodable {
        let index: Int
        let position: Int
        let reasons: [Reason]
    }

    struct Reason: Decodable {
        let code: String
        let column: String?
        let message: String
    }

    /// The codes of one rejected row, in the order given.
    func codes(ofRow index: Int) -> [String] {
        rejected.filter { $0.index == index }.flatMap { $0.reasons.map(\.code) }
    }
}

/// A connection of its own to one server.
struct HTTPClient: Sendable {
    let port: Int
    let key: String
    private let session: URLSession

    init(port: Int, key: String) {
        self.port = port
        self.key = key
        let configuration = URLSessionConfiguration.ephemeral
        configuration.httpMaximumConnectionsPerHost = 1
        configuration.timeoutIntervalForRequest = 30
        session = URLSession(configuration: configuration)
    }

    func send(
        _ method: String, _ path: String, headers: [String: String] = [:], body: Data? = nil
    ) async throws -> HTTPAnswer {
        guard let url = URL(string: "http://127.0.0.1:\(port)\(path)") else {
            throw URLError(.badURL)
        }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.httpBody = body
        request.setValue(key, forHTTPHeaderField: "x-api-key")
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await session.data(for: request)
        guard let response = response as? HTTPURLResponse else {
            throw URLError(.badServerResponse)
        }
        return HTTPAnswer(response, body: data)
    }

    func get(_ path: String) async throws -> HTTPAnswer { try await send("GET", path) }

    /// Appends a JSON body to a table.
    func append(
        _ json: String, to table: String, idempotencyKey: String? = nil,
        contentType: String = "application/json"
    ) async throws -> HTTPAnswer {
        var headers = ["content-type": contentType]
        headers["idempotency-key"] = idempotencyKey
        return try await send("POST", "/v1/\(table)", headers: headers, body: Data(json.utf8))
    }
}
