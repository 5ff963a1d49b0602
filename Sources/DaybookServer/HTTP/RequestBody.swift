import Avro
import Hummingbird
import NIOCore

/// How many readable bytes stand behind a body, for a parser that reads past the end.
private let paddingByteCount = 64

extension Request {
    /// The whole body, copied once from the network's buffers.
    ///
    /// - Throws: `Problem.bodyTooLarge` as soon as more than the limit is announced or has come.
    func bodyBytes(limitByteCount: Int) async throws -> Bytes {
        let announced = headers[.contentLength].flatMap(Int.init) ?? 0
        guard announced <= limitByteCount else {
            throw Problem.bodyTooLarge(limitByteCount: limitByteCount)
        }
        // No more is taken beforehand than a usual body has: a header is no reason to give memory.
        let capacity = max(16 << 10, min(announced, 1 << 20))
        let collector = BodyCollector(capacity: capacity + paddingByteCount)
        for try await buffer in body {
            guard collector.count + buffer.readableBytes <= limitByteCount else {
                throw Problem.bodyTooLarge(limitByteCount: limitByteCount)
            }
            collector.append(buffer)
        }
        return collector.finish()
    }
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
