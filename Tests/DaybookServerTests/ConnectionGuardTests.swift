import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypes
import Testing

@testable import DaybookServer

/// A connection with the guard in it, and a clock that a test moves.
private final class GuardedConnection {
    let channel: EmbeddedChannel
    let connections: OpenConnections
    let budgets: ServerBudgets

    init(_ change: (inout ServerLimits) -> Void = { _ in }, open: Int = 0) throws {
        var limits = ServerLimits()
        change(&limits)
        budgets = ServerBudgets(limits)
        connections = OpenConnections(limit: limits.connectionCount)
        for _ in 0..<open { _ = connections.enter() }
        channel = EmbeddedChannel(
            handler: ConnectionGuard(limits: limits, connections: connections, budgets: budgets))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    func pass(seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

    func read(_ part: HTTPRequestPart) throws { try channel.writeInbound(part) }

    func begin(_ fields: HTTPFields = [:]) throws {
        try read(
            .head(
                HTTPRequest(
                    method: .post, scheme: "http", authority: "a", path: "/v1/jobs",
                    headerFields: fields)))
    }

    func answer(_ status: HTTPResponse.Status = .ok) throws {
        try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: status)))
        try channel.writeOutbound(HTTPResponsePart.end(nil))
        _ = try answered
    }

    /// The status that was answered last, nil if none was.
    private func status(of channel: EmbeddedChannel) throws -> Int? {
        var status: Int?
        while let part = try channel.readOutbound(as: HTTPResponsePart.self) {
            if case .head(let head) = part { status = head.status.code }
        }
        return status
    }

    var answered: Int? { get throws { try status(of: channel) } }
}

/// Counts what is asked of the network.
private final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = HTTPResponsePart
    private(set) var count = 0

    func read(context: ChannelHandlerContext) {
        count += 1
        context.read()
    }
}

@Suite("A connection's guard")
struct ConnectionGuardTests {
    @Test("a request that does not come is answered with 408, and the connection closed")
    func slowHead() throws {
        let connection = try GuardedConnection()
        connection.pass(seconds: 10)
        #expect(try connection.answered == nil)
        connection.pass(seconds: 1)
        #expect(try connection.answered == 408)
        #expect(connection.connections.timedOutCount == 1)
        connection.pass(seconds: 3)
        #expect(!connection.channel.isActive)
        #expect(connection.connections.count == 0)
    }

    @Test("a connection may wait longer for a further request, and is closed without an answer")
    func idle() throws {
        let connection = try GuardedConnection()
        try connection.begin()
        try connection.read(.end(nil))
        try connection.answer()
        connection.pass(seconds: 75)
        #expect(connection.channel.isActive)
        connection.pass(seconds: 1)
        #expect(try connection.answered == nil)
        #expect(!connection.channel.isActive)
        #expect(connection.connections.timedOutCount == 0)
    }

    @Test("a body that comes too slowly is answered with 408, and its reader told that it is cut")
    func slowBody() throws {
        let connection = try GuardedConnection()
        try connection.begin()
        // To be told to go on is no answer yet.
        try connection.channel.writeOutbound(
            HTTPResponsePart.head(HTTPResponse(status: .continue)))
        #expect(try connection.answered == 100)
        // 16 KiB earn a second each, after the first 20.
        for _ in 0..<10 { try connection.read(.body(ByteBuffer(repeating: 0, count: 16 << 10))) }
        connection.pass(seconds: 30)
        #expect(try connection.answered == nil)
        #expect(throws: HTTPParserError.self) {
            connection.pass(seconds: 1)
            try connection.channel.throwIfErrorCaught()
        }
        #expect(try connection.answered == 408)
    }

    @Test("while bodies take nearly all there is, a slow one has two seconds")
    func pressed() throws {
        let connection = try GuardedConnection { $0.bodiesByteCount = 1000 }
        let share = connection.budgets.bodies.share()
        for (taken, status) in [(749, nil), (1, 408)] {
            #expect(share.take(taken))
            try connection.begin()
            connection.pass(seconds: 3)
            #expect(try connection.answered == status)
            guard status == nil else { return }
            try connection.read(.end(nil))
            try connection.answer()
        }
    }

    @Test("a body that ends with the connection is no body that is whole")
    func cutBody() throws {
        for closes in [true, false] {
            let connection = try GuardedConnection()
            try connection.begin()
            try connection.read(.body(ByteBuffer(string: "[{}")))
            if closes {
                connection.channel.pipeline.fireChannelInactive()
            } else {
                connection.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            }
            #expect(throws: HTTPParserError.self) { try connection.channel.throwIfErrorCaught() }
        }
    }

    @Test("a request that the server works on has all the time that it needs")
    func slowAnswer() throws {
        let connection = try GuardedConnection()
        try connection.begin()
        try connection.read(.end(nil))
        connection.pass(seconds: 3600)
        try connection.answer()
        #expect(connection.channel.isActive && connection.connections.timedOutCount == 0)
    }

    @Test("what a client sends of a body that was answered is read for a while, and not for ever")
    func linger() throws {
        for isMuch in [true, false] {
            let connection = try GuardedConnection()
            try connection.begin()
            try connection.answer(.unauthorized)
            if isMuch {
                for _ in 0..<64 {
                    try connection.read(.body(ByteBuffer(repeating: 0, count: 16 << 10)))
                }
                #expect(connection.channel.isActive)
                try connection.read(.body(ByteBuffer(repeating: 0, count: 1)))
            } else {
                connection.pass(seconds: 5)
                #expect(connection.channel.isActive)
                connection.pass(seconds: 1)
            }
            connection.pass(seconds: 3)
            #expect(!connection.channel.isActive)
        }
    }

    @Test("one connection more than there may be is answered with 503 and closed")
    func tooMany() throws {
        let connection = try GuardedConnection({ $0.connectionCount = 2 }, open: 2)
        #expect(try connection.answered == 503)
        #expect(connection.connections.refusedCount == 1)
        try connection.begin()
        connection.pass(seconds: 3)
        #expect(!connection.channel.isActive)
        #expect(connection.connections.count == 2)
    }

    @Test("what is not HTTP is answered with 400, a header that is too large with 431")
    func notHTTP() throws {
        for (error, status) in [(HTTPParserError.unknown, 400), (.headerOverflow, 431)] {
            let connection = try GuardedConnection()
            connection.channel.pipeline.fireErrorCaught(error)
            #expect(try connection.answered == status)
            connection.pass(seconds: 3)
            #expect(!connection.channel.isActive)
        }
    }

    @Test("behind a request for another protocol nothing is read, and its answer is the last")
    func upgrade() throws {
        let connection = try GuardedConnection()
        let counter = ReadCounter()
        try connection.channel.pipeline.syncOperations.addHandler(counter, position: .first)
        connection.channel.read()
        try connection.begin([.upgrade: "h2c", .connection: "upgrade"])
        connection.channel.read()
        #expect(counter.count == 2)
        try connection.read(.end(nil))
        connection.channel.read()
        #expect(counter.count == 2)
        try connection.channel.writeOutbound(
            HTTPResponsePart.head(HTTPResponse(status: .ok)))
        guard case .head(let head)? = try connection.channel.readOutbound(as: HTTPResponsePart.self)
        else {
            Issue.record("no answer")
            return
        }
        #expect(head.headerFields[.connection] == "close")
        try connection.channel.writeOutbound(HTTPResponsePart.end(nil))
        connection.pass(seconds: 3)
        #expect(!connection.channel.isActive)
    }

    @Test("far beyond the limit a connection is closed without a word")
    func floods() throws {
        let connection = try GuardedConnection({ $0.connectionCount = 2 }, open: 258)
        #expect(try connection.answered == nil)
        #expect(!connection.channel.isActive)
    }

    @Test("an error behind a request that waits for its answer does not answer it")
    func laterError() throws {
        let connection = try GuardedConnection()
        try connection.begin()
        try connection.read(.end(nil))
        connection.channel.pipeline.fireErrorCaught(HTTPParserError.unknown)
        #expect(try connection.answered == nil)
    }

    @Test("an answer's bytes count until they are on their way")
    func budget() throws {
        let connection = try GuardedConnection()
        try connection.begin()
        try connection.read(.end(nil))
        let body = ByteBuffer(repeating: 0, count: 100_000)
        connection.channel.write(HTTPResponsePart.body(body), promise: nil)
        #expect(connection.budgets.answers.usedByteCount == 100_000)
        connection.channel.flush()
        #expect(connection.budgets.answers.usedByteCount == 0)
    }
}

@Suite("The budget of bytes in flight")
struct ByteBudgetTests {
    @Test("large bodies leave the last eighth to small ones")
    func small() {
        let budget = ByteBudget(limit: 8 << 20)
        let large = budget.share()
        #expect(large.take(7 << 20) && !large.take(1))
        let small = budget.share()
        #expect(small.take(256 << 10) && !small.take(1))
        #expect(budget.share().take(256 << 10))
    }

    @Test("a share takes what there is, nothing beyond, and gives all of it back")
    func shares() {
        let budget = ByteBudget(limit: 100)
        do {
            let share = budget.share()
            #expect(share.take(60) && !share.take(41) && share.take(40))
            #expect(budget.isPressed && !budget.share().take(1))
        }
        #expect(budget.usedByteCount == 0 && !budget.isPressed)
    }

    @Test("an answer takes what it needs, and what begins next has less")
    func answers() {
        let budget = ByteBudget(limit: 100)
        budget.takeAnyway(150)
        #expect(!budget.isOverdrawn(times: 2) && !budget.share().take(1))
        budget.takeAnyway(50)
        #expect(budget.isOverdrawn(times: 2) && !budget.isOverdrawn(times: 4))
        budget.give(200)
        #expect(budget.share().take(100))
    }
}
