import Avro
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTPTypes

/// How many readable bytes stand behind a body, for a parser that reads past the end.
private let paddingByteCount = 64

/// A request's whole body.
struct ReceivedBody {
    let bytes: Bytes
    /// What it takes of the server's budget; kept for as long as its rows are worked on.
    let share: ByteBudget.Share
}

/// Receives bodies, within a limit for each and one for all together.
struct BodyReceiver: Sendable {
    private(set) var byteLimit: Int
    let budget: ByteBudget

    /// The same with another limit for each body.
    func limited(to byteLimit: Int) -> BodyReceiver {
        var receiver = self
        receiver.byteLimit = byteLimit
        return receiver
    }

    /// The whole body, copied once from the network's buffers.
    ///
    /// - Throws: 413 as soon as more than the limit is announced or has come, 503 if all bodies
    ///   together are too much, 400 if the body ends before it is whole; each closes the
    ///   connection.
    func receive(_ request: Request, _ context: ServerContext) async throws(Problem) -> ReceivedBody
    {
        do throws(Problem) {
            return try await collect(request, context.channel)
        } catch {
            throw error.closing
        }
    }

    private func collect(
        _ request: Request, _ channel: any Channel
    ) async throws(Problem) -> ReceivedBody {
        let encoding = request.headers[.contentEncoding]?.lowercased() ?? "identity"
        guard encoding == "identity" else { throw .encodedBody }
        let announced = try announced(request.headers)
        let share = budget.share()
        // No more is taken beforehand than a usual body has: a header is no reason to give memory.
        let capacity = max(16 << 10, min(announced ?? 0, 1 << 20))
        guard share.take(capacity) else { throw .inFlightFull }
        if request.headers[.expect]?.lowercased() == "100-continue" {
            let head = HTTPResponsePart.head(HTTPResponse(status: .continue))
            channel.writeAndFlush(head, promise: nil)
        }
        let collector = BodyCollector(capacity: capacity + paddingByteCount)
        var taken = capacity
        do {
            for try await buffer in request.body {
                let count = collector.count + buffer.readableBytes
                guard count <= byteLimit else { throw Problem.bodyTooLarge(byteLimit) }
                if count > taken {
                    guard share.take(count - taken) else { throw Problem.inFlightFull }
                    taken = count
                }
                collector.append(buffer)
            }
        } catch let problem as Problem {
            throw problem
        } catch {
            throw .bodyCut
        }
        guard announced == nil || announced == collector.count else { throw .bodyCut }
        return ReceivedBody(bytes: collector.finish(), share: share)
    }

    private func announced(_ headers: HTTPFields) throws(Problem) -> Int? {
        guard let text = headers[.contentLength] else { return nil }
        // What has more digits than an integer is too large as well.
        guard let count = Int(text), count <= byteLimit else { throw .bodyTooLarge(byteLimit) }
        return count
    }
}

extension Problem {
    static let encodedBody: Problem = {
        var problem = Problem(
            .unsupportedMediaType, "unsupported-encoding", title: "The body is compressed",
            detail: "send it as it is, without Content-Encoding; `daybook import` takes files")
        problem.headers[.acceptEncoding] = "identity"
        return problem
    }()

    static let bodyCut = Problem.badRequest(
        "body-cut", "the body ended before it was whole: nothing of it was kept, send it again")
}

/// Keeps a sink in one place over the awaits of a body's parts.
private final class BodyCollector {
    private var sink: ByteSink
    var count: Int { sink.count }

    init(capacity: Int) { sink = ByteSink(capacity: capacity) }

    func append(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { sink.append(raw: $0) }
    }

    /// The bytes, with readable zeros behind them.
    func finish() -> Bytes {
        let count = sink.count
        for _ in 0..<paddingByteCount { sink.append(byte: 0) }
        sink.truncate(to: count)
        var taken = ByteSink(capacity: 0)
        swap(&taken, &sink)
        return taken.finish()
    }
}

extension Response {
    /// The same answer, after which the connection is closed though the client still sends.
    ///
    /// Output is closed first and input some time later: a connection that is closed while bytes
    /// arrive is reset, and a reset takes the answer away from a client that has not read it.
    func closing(_ channel: any Channel) -> Response {
        var response = self
        response.headers[.connection] = "close"
        let answer = body
        response.body = ResponseBody(contentLength: answer.contentLength) { writer in
            try await answer.write(writer)
            channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
            channel.close(mode: .output, promise: nil)
        }
        return response
    }
}
