import AsyncHTTPClient
import Foundation
import NIOCore
import S3

/// Fetches a URL's file whole, before anything is imported of it.
struct Fetch {
    /// The most bytes that are taken.
    let byteCountMax: Int64
    let dataFolder: String

    private static let redirectCountMax = 5
    private static let pieceByteCount: UInt64 = 8 << 20

    /// The file of a source; one of this machine stays where it is.
    func file(of source: ImportSource) async throws -> ImportFile {
        switch source {
        case .path(let path): return ImportFile(path: path, name: source.name, fetched: nil)
        case .s3(let location):
            let file = try PrivateFile(dataFolder: dataFolder)
            try await fetch(location, into: file, name: source.name)
            return ImportFile(path: file.path, name: source.name, fetched: file)
        case .https(let url):
            let file = try PrivateFile(dataFolder: dataFolder)
            try await fetch(url, into: file, name: source.name)
            return ImportFile(path: file.path, name: source.name, fetched: file)
        }
    }

    /// Piece by piece, each of the same object; the client tries again what passes.
    private func fetch(
        _ location: S3Location, into file: PrivateFile, name: String
    ) async throws {
        let configuration = try S3Configuration(
            environment: ProcessInfo.processInfo.environment, prefix: "DAYBOOK_")
        let client = try S3Client(configuration)
        // A listing, unlike HEAD, says why it is refused.
        let found = try await client.list(location.key, in: location.bucket).objects
        guard let object = found.first(where: { $0.key == location.key }) else {
            throw CommandFailure(.usage, "\(location) is not there")
        }
        guard object.byteCount <= byteCountMax else { throw tooLarge("\(location)") }
        var offset: UInt64 = 0
        while offset < object.byteCount {
            let end = min(offset + Fetch.pieceByteCount, object.byteCount)
            let piece = try await client.get(
                location.key, in: location.bucket, range: offset..<end,
                etag: object.etag.isEmpty ? nil : object.etag)
            guard piece.readableBytes > 0 else { throw S3Error.changed(what: "\(location)") }
            try piece.withUnsafeReadableBytes { try file.write($0) }
            offset += UInt64(piece.readableBytes)
            progress(name, Int64(offset), of: Int64(object.byteCount))
        }
    }

    /// In one piece; from the front again when the connection is lost.
    private func fetch(_ url: URL, into file: PrivateFile, name: String) async throws {
        let patience = Patience()
        let client = try HTTPTransport.client(
            certificateFile: ProcessInfo.processInfo.environment["SSL_CERT_FILE"]
                .flatMap { $0.isEmpty ? nil : $0 })
        var tries = 0
        while true {
            do {
                file.clear()
                return try await attempt(url, client, into: file, name: name)
            } catch let passing as Passing {
                tries += 1
                guard tries < 4 else { throw passing.failure }
                try await Task.sleep(for: patience.pause(after: tries))
            }
        }
    }

    /// A failure that another try may not have.
    private struct Passing: Error {
        let failure: CommandFailure
    }

    private func attempt(
        _ start: URL, _ client: HTTPClient, into file: PrivateFile, name: String
    ) async throws {
        var url = start
        for _ in 0...Fetch.redirectCountMax {
            let shown = Fetch.shown(url)
            var request = HTTPClientRequest(url: url.absoluteString)
            request.headers.add(name: "accept-encoding", value: "identity")
            request.headers.add(name: "user-agent", value: "daybook")
            do {
                let response = try await client.execute(request, timeout: .hours(24))
                switch response.status.code {
                case 200:
                    return try await take(response, shown, into: file, name: name)
                case 301, 302, 303, 307, 308:
                    url = try Fetch.target(of: response, from: url)
                case 429, 500, 502, 503, 504:
                    throw Passing(
                        failure: CommandFailure(
                            .unreachable, "\(shown) answered \(response.status.code)"))
                default:
                    throw CommandFailure(.usage, "\(shown) answered \(response.status.code)")
                }
            } catch let failure as CommandFailure {
                throw failure
            } catch let passing as Passing {
                throw passing
            } catch {
                let fault = HTTPTransport.fault(error, host: shown)
                if case .unreachable = fault { throw Passing(failure: CommandFailure(fault)) }
                throw CommandFailure(fault)
            }
        }
        throw CommandFailure(
            .failed, "\(Fetch.shown(start)) leads on more than \(Fetch.redirectCountMax) times")
    }

    private func take(
        _ response: HTTPClientResponse, _ shown: String, into file: PrivateFile, name: String
    ) async throws {
        let encoding = response.headers.first(name: "content-encoding") ?? "identity"
        guard encoding.lowercased() == "identity" else {
            throw CommandFailure(.failed, "\(shown) is encoded, which it was asked not to be")
        }
        let length = response.headers.first(name: "content-length").flatMap { Int64($0) }
        guard length ?? 0 <= byteCountMax else { throw tooLarge(shown) }
        var byteCount: Int64 = 0
        for try await piece in response.body {
            byteCount += Int64(piece.readableBytes)
            guard byteCount <= byteCountMax else { throw tooLarge(shown) }
            try piece.withUnsafeReadableBytes { try file.write($0) }
            progress(name, byteCount, of: length)
        }
    }

    private static func target(
        of response: HTTPClientResponse, from url: URL
    ) throws(CommandFailure) -> URL {
        guard let location = response.headers.first(name: "location"),
            let target = URL(string: location, relativeTo: url)?.absoluteURL, target.host != nil
        else {
            throw CommandFailure(.failed, "\(shown(url)) leads on, and does not say where")
        }
        guard target.scheme?.lowercased() == "https", target.user == nil else {
            throw CommandFailure(
                .failed,
                "\(shown(url)) leads on to a place that is not https://, where nothing "
                    + "proves who sends the rows")
        }
        return target
    }

    /// A URL without its query, where a presigned one has its secret.
    private static func shown(_ url: URL) -> String {
        let port = url.port.map { ":\($0)" } ?? ""
        return "https://\(url.host ?? "")\(port)\(url.path)"
    }

    private func tooLarge(_ shown: String) -> CommandFailure {
        CommandFailure(
            .failed, "\(shown) has more than \(byteCountMax) bytes; see --max-download")
    }

    private func progress(_ name: String, _ count: Int64, of total: Int64?) {
        let percent = total.map { $0 == 0 ? "" : ", \(count * 100 / $0) %" } ?? ""
        Console.progress("fetching \(name): \(count / 1_000_000) MB\(percent)")
    }
}
