import Avro
import DaybookLedger
import DaybookLog
import Hummingbird
import NIOCore
import ServiceLifecycle

/// `GET /v1/events`: the log as NDJSON, to its end or for as long as the client stays.
///
/// Each client has a reader of its own, which reads on when the last piece was taken: a slow one
/// holds a piece of text and a read of blocks, and nobody else.
struct EventRoute: Sendable {
    let log: any LogEngine
    let signal: AppendSignal
    let feeds: Places

    /// How long a reader that does not read may keep a server that stops.
    private static let patience = TimeAmount.seconds(5)

    func respond(to request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.audit)
        let options = try EventOptions(request)
        let filter = try options.filter(for: caller)
        let durable = log.durable.position
        guard options.follows || options.from <= durable else {
            throw Problem.badRequest(
                "beyond-end", "the log ends before position \(durable); to wait for more, follow")
        }
        let place = options.follows ? feeds.take() : nil
        guard place != nil || !options.follows else {
            throw Problem(
                .serviceUnavailable, "too-many-followers", title: "Too many follow the log",
                detail: "\(feeds.limit) are connected; come back later, or ask without follow"
            ).retrying(afterSeconds: 5)
        }
        var reader = EventReader(log, filter: filter, limit: options.limit)
        // The first piece is read before anything is answered: what fails now is a plain problem.
        let first = options.from <= durable ? try await reader.nextOffPool() : nil
        let stream = EventStream(
            reader: reader, first: first, signal: options.follows ? signal : nil, place: place)
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/x-ndjson", .cacheControl: "no-store",
                .daybookPosition: String(durable),
            ],
            body: ResponseBody { [channel = context.channel] writer in
                try await withGracefulShutdownHandler {
                    try await stream.run(request, &writer)
                } onGracefulShutdown: {
                    channel.eventLoop.scheduleTask(in: EventRoute.patience) {
                        channel.close(promise: nil)
                    }
                }
            })
    }
}

/// What one client is sent.
private struct EventStream: Sendable {
    let reader: EventReader
    /// What was read before the answer began.
    let first: Bytes?
    /// Wakes a follower; nil for a client that goes at the log's end.
    let signal: AppendSignal?
    /// Held while the stream is open.
    let place: Places.Place?

    /// Writes all of it. When the client of a stream that follows goes away, it is cancelled.
    func run(_ request: Request, _ writer: inout any ResponseBodyWriter) async throws {
        defer { withExtendedLifetime(place) {} }
        if let signal {
            try await request.body.consumeWithCancellationOnInboundClose { _ in
                try await write(to: &writer, following: signal)
            }
        } else {
            try await write(to: &writer, following: nil)
        }
        try await writer.finish(nil)
    }

    private func write(
        to writer: inout any ResponseBodyWriter, following signal: AppendSignal?
    ) async throws {
        var reader = reader
        var piece = first
        while true {
            if let piece {
                if piece.count > 0 {
                    try await writer.write(piece.withUnsafeBytes { ByteBuffer(bytes: $0) })
                }
            } else {
                guard let signal, !reader.isDone, !Task.isShuttingDownGracefully else { return }
                await signal.wait(beyond: reader.position)
                try Task.checkCancellation()
            }
            piece = try await reader.nextOffPool()
        }
    }
}

extension EventReader {
    /// `next`, on a thread that may block.
    fileprivate mutating func nextOffPool() async throws(Problem) -> Bytes? {
        let reader = self
        let (after, result) = await offPool {
            var reader = reader
            let result = Result { () throws(EventReadError) in try reader.next() }
            return (reader, result)
        }
        self = after
        do throws(EventReadError) {
            return try result.get()
        } catch {
            switch error {
            // A follower that is ahead of the log waits for it.
            case .log(.outOfRange): return nil
            case .log(let error): throw Problem(LedgerError.log(error))
            case .text(let error):
                throw Problem(
                    .internalServerError, "unreadable-block", title: "A block cannot be read",
                    detail: "\(error.what); see `daybook log verify`")
            }
        }
    }
}
