import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Stands in each connection between HTTP's codec and the server, and ends what takes too long, is
/// too much, or is no HTTP; with an answer, where one can still be given.
///
/// Time is looked at once a second: a limit that is passed is noticed within that. A request that
/// the server works on has no limit here.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// An answer's part of fewer bytes is not worth counting.
    private static let countedByteCount = 64 << 10
    /// How many connections beyond the limit are told why they are closed, at once.
    private static let toldCount = 256
    /// How long a connection stays half open, so that the client can read why it was closed.
    private static let closing = TimeAmount.seconds(2)

    private let limits: ServerLimits
    private let connections: OpenConnections
    private let budgets: ServerBudgets

    private var isCounted = false
    /// Whether nothing that comes is read any more.
    private var isRefused = false
    /// Whether the request that is read is the last: what follows it would not be HTTP.
    private var isLast = false
    /// Requests whose answer has not been written to its end.
    private var openCount = 0
    /// Whether the last request's body has not come to its end.
    private var isReading = false
    /// Whether an answer has begun and not ended.
    private var isAnswering = false
    private var hasAnswered = false
    /// Since when the connection waits for a request, or a body for its rest.
    private var waitsSince = NIODeadline.distantPast
    /// Bytes of the body since then.
    private var byteCount = 0
    /// Bytes that wait for the client, and since when they are as many.
    private var unsent = (byteCount: 0, since: NIODeadline.distantPast)
    private var tick: RepeatedTask?

    init(limits: ServerLimits, connections: OpenConnections, budgets: ServerBudgets) {
        self.limits = limits
        self.connections = connections
        self.budgets = budgets
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        breakBody(context)
        end()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { breakBody(context) }
        context.fireUserInboundEventTriggered(event)
    }

    /// Says that a body which somebody reads has no end: to the reader, a stream that just stops
    /// would be a body that is whole.
    private func breakBody(_ context: ChannelHandlerContext) {
        guard isReading, openCount > 0 else { return }
        isReading = false
        context.fireErrorCaught(HTTPParserError.invalidEOFState)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func begin(_ context: ChannelHandlerContext) {
        guard !isCounted else { return }
        isCounted = true
        wait(context)
        guard connections.enter() else {
            // Each that is told so stays for a moment; beyond so many there is no word either.
            guard connections.count <= connections.limit + ConnectionGuard.toldCount else {
                isRefused = true
                return context.close(promise: nil)
            }
            return refuse(.tooManyConnections(limit: connections.limit), context)
        }
        let looked = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        tick = context.eventLoop.scheduleRepeatedTask(
            initialDelay: .seconds(1), delay: .seconds(1)
        ) { _ in
            let (handler, context) = looked.value
            handler.look(context)
        }
    }

    private func end() {
        tick?.cancel()
        tick = nil
        if isCounted { connections.leave() }
        isCounted = false
        isRefused = true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            openCount += 1
            isReading = true
            isLast = head.method == .connect || head.headerFields[.upgrade] != nil
            wait(context)
        case .body(let buffer):
            byteCount += buffer.readableBytes
            if openCount == 0, byteCount > limits.lingerByteCount { return cut(context) }
        case .end:
            isReading = false
        }
        context.fireChannelRead(data)
    }

    /// Behind a request that asks for another protocol the decoder reads nothing and keeps all that
    /// comes, without limit: no more is asked for.
    func read(context: ChannelHandlerContext) {
        if isLast, !isReading { return }
        context.read()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isRefused else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        var (data, promise) = (data, promise)
        switch unwrapOutboundIn(data) {
        case .head(var head):
            isAnswering = head.status.kind != .informational
            if isLast, isAnswering {
                head.headerFields[.connection] = "close"
                data = wrapOutboundOut(.head(head))
            }
        case .body(let buffer):
            if buffer.readableBytes >= ConnectionGuard.countedByteCount {
                promise = count(buffer.readableBytes, promise, context)
            }
        case .end:
            isAnswering = false
            hasAnswered = true
            openCount = max(0, openCount - 1)
            // What is left to come of this body, or all of the next one's, is timed from here.
            wait(context)
        }
        context.write(data, promise: promise)
        guard isLast, openCount == 0 else { return }
        context.flush()
        cut(context)
    }

    /// Counts an answer's bytes until the client's side has taken them.
    private func count(
        _ byteCount: Int, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext
    ) -> EventLoopPromise<Void> {
        let promise = promise ?? context.eventLoop.makePromise()
        let answers = budgets.answers
        answers.takeAnyway(byteCount)
        promise.futureResult.whenComplete { _ in answers.give(byteCount) }
        return promise
    }

    private func wait(_ context: ChannelHandlerContext) {
        waitsSince = context.eventLoop.now
        byteCount = 0
    }

    /// What cannot be read as HTTP. Where a request waits for its answer the server says it, in
    /// its turn.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isRefused else { return }
        guard openCount == 0 else { return context.fireErrorCaught(error) }
        // The rest of a body that was answered already: what is wrong with it needs no answer.
        guard !isReading else { return cut(context) }
        switch error {
        case HTTPParserError.headerOverflow:
            refuse(.headTooLarge(limitByteCount: limits.headByteCount), context)
        case is HTTPParserError, is ChannelError: refuse(.notHTTP, context)
        default: context.fireErrorCaught(error)
        }
    }

    /// Ends the connection if something takes too long.
    private func look(_ context: ChannelHandlerContext) {
        guard !isRefused else { return }
        let waits = context.eventLoop.now - waitsSince
        if isStalled(context) {
            connections.countTimeout()
            return context.close(promise: nil)
        }
        if openCount == 0, isReading {
            if waits > .seconds(Int64(limits.lingerSeconds)) { cut(context) }
        } else if openCount == 0 {
            let seconds = hasAnswered ? limits.idleSeconds : limits.headSeconds
            guard waits > .seconds(Int64(seconds)) else { return }
            guard !hasAnswered else { return context.close(promise: nil) }
            connections.countTimeout()
            refuse(.headTooSlow(seconds: seconds), context)
        } else if isReading, openCount == 1 {
            let first = budgets.bodies.isPressed ? limits.pressedSeconds : limits.bodySeconds
            let seconds = first + byteCount / limits.bodyBytesPerSecond
            guard waits > .seconds(Int64(seconds)) else { return }
            connections.countTimeout()
            refuse(.bodyTooSlow(limits), context)
        }
    }

    /// Whether the client has taken nothing for too long of what waits for it.
    private func isStalled(_ context: ChannelHandlerContext) -> Bool {
        let options = context.channel.syncOptions
        let waiting = (try? options?.getOption(.bufferedWritableBytes)) ?? 0
        guard waiting > 0, waiting == unsent.byteCount else {
            unsent = (waiting, context.eventLoop.now)
            return false
        }
        let isPressed = budgets.answers.isPressed && waiting >= ConnectionGuard.countedByteCount
        let seconds = isPressed ? limits.pressedSeconds : limits.stallSeconds
        return context.eventLoop.now - unsent.since > .seconds(Int64(seconds))
    }

    /// Answers with a problem, if an answer can still be given, and ends the connection.
    private func refuse(_ problem: Problem, _ context: ChannelHandlerContext) {
        guard !isAnswering else { return context.close(promise: nil) }
        var head = HTTPResponse(status: problem.status, headerFields: problem.headers)
        let body = problem.bytes
        head.headerFields[.contentType] = "application/problem+json"
        head.headerFields[.contentLength] = String(body.readableBytes)
        head.headerFields[.connection] = "close"
        isRefused = true
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(body)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        breakBody(context)
        shut(context)
    }

    /// Ends a connection whose client still sends, after an answer.
    private func cut(_ context: ChannelHandlerContext) {
        isRefused = true
        shut(context)
    }

    /// Output first, input later: a connection that is closed while bytes arrive is reset, and a
    /// reset takes the answer away from a client that has not read it.
    private func shut(_ context: ChannelHandlerContext) {
        let channel = context.channel
        context.eventLoop.scheduleTask(in: ConnectionGuard.closing) {
            channel.close(promise: nil)
        }
        context.close(mode: .output, promise: nil)
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}

extension Problem {
    static func tooManyConnections(limit: Int) -> Problem {
        Problem(
            .serviceUnavailable, "too-many-connections", title: "Too many connections",
            detail: "\(limit) are open: keep fewer and use them again, or come back later"
        ).retrying(afterSeconds: 1)
    }

    static func headTooLarge(limitByteCount: Int) -> Problem {
        Problem(
            .requestHeaderFieldsTooLarge, "head-too-large", title: "The header is too large",
            detail: "request line and header fields have at most \(limitByteCount) bytes")
    }

    static let notHTTP = Problem(
        .badRequest, "not-http", title: "The request is not HTTP",
        detail: "what was sent cannot be read as an HTTP/1.1 request; with --tls-cert the server "
            + "speaks HTTPS only")

    static func headTooSlow(seconds: Int) -> Problem {
        Problem(
            .requestTimeout, "head-too-slow", title: "The request did not come",
            detail: "request line and header are to come within \(seconds) s")
    }

    static func bodyTooSlow(_ limits: ServerLimits) -> Problem {
        Problem(
            .requestTimeout, "body-too-slow", title: "The body came too slowly",
            detail: "nothing of it was kept; a body is to come within \(limits.bodySeconds) s, or "
                + "at \(limits.bodyBytesPerSecond) bytes a second: send it again in parts")
    }

    static let inFlightFull = Problem(
        .serviceUnavailable, "too-much-in-flight", title: "Too much is being received",
        detail: "nothing of the request was kept: send it again later"
    ).retrying(afterSeconds: 1)
}
