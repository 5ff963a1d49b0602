import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// What is known about a request besides itself.
struct ServerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection, so that an answer can end it.
    let channel: any Channel
    /// Who asks; set by the middleware that lets a request in.
    var caller: Caller?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// Who asks.
    ///
    /// - Throws: `Problem.unauthorized` on a route that nobody guards.
    func requireCaller() throws(Problem) -> Caller {
        guard let caller else { throw .unauthorized }
        return caller
    }

    /// Who asks, if they may do what `scope` covers.
    func requireCaller(_ scope: Scope) throws(Problem) -> Caller {
        let caller = try requireCaller()
        guard caller.scopes.contains(scope) else {
            throw .forbidden("the key \(caller.principal) has no scope \(scope.rawValue)")
        }
        return caller
    }
}

/// Who asks, and what they may do.
public struct Caller: Sendable, Equatable {
    /// The name of the key, or `local:<user>`: what the log keeps.
    public let principal: String
    /// What they may do.
    public let scopes: Set<Scope>
    /// The tables they may touch; nil is all of them.
    public let tables: Set<String>?

    /// Somebody who may do this.
    public init(principal: String, scopes: Set<Scope>, tables: Set<String>?) {
        self.principal = principal
        self.scopes = scopes
        self.tables = tables
    }

    func mayTouch(_ table: String) -> Bool { tables?.contains(table) ?? true }
}

/// Lets in who presents a key.
struct KeyMiddleware: RouterMiddleware {
    let keys: any KeyAuthority
    let limiter: RateLimiter

    func handle(
        _ request: Request, context: ServerContext,
        next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard let presented = presentedKey(request.headers),
            let caller = keys.caller(presenting: presented)
        else {
            // Looked at first and counted then: who has a key is never shut out by who has none.
            let outcome = limiter.takeUnknown()
            throw outcome.isTaken
                ? Problem.unauthorized
                : .rateLimited("too many requests have come without a known key", outcome)
        }
        var context = context
        context.caller = caller
        return try await next(request, context)
    }

    private func presentedKey(_ headers: HTTPFields) -> String? {
        if let key = headers[.apiKey] { return key }
        guard let authorization = headers[.authorization] else { return nil }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1])
    }
}

/// Lets in whoever reaches the local socket: its mode did the asking.
struct LocalMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: ServerContext,
        next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.caller = Caller(
            principal: "local:" + (request.headers[.daybookUser] ?? "unknown"),
            scopes: Set(Scope.allCases), tables: nil)
        return try await next(request, context)
    }
}

extension Problem {
    /// What the router says by itself.
    fileprivate init(_ error: HTTPError) {
        if error.status == .notFound {
            self = .notFound("there is no such path; /openapi.json has those that there are")
        } else {
            self.init(
                error.status, "not-understood", title: error.status.reasonPhrase,
                detail: "the request was not understood")
        }
    }
}

/// Lets nothing begin while too many answers wait for clients that do not take them; a small batch,
/// whose answer is small, for twice as long.
struct AnswerMiddleware: RouterMiddleware {
    let answers: ByteBudget

    func handle(
        _ request: Request, context: ServerContext,
        next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let length = request.headers[.contentLength].flatMap(Int.init) ?? .max
        let isSmall = request.method == .post && length <= ByteBudget.smallByteCount
        guard !answers.isOverdrawn(times: isSmall ? 4 : 2) else {
            // Only where a body would come that nobody reads is the connection closed.
            throw request.method == .post ? Problem.inFlightFull.closing : .inFlightFull
        }
        return try await next(request, context)
    }
}

/// Gives every answer the request's id, makes a problem of every error, and logs what went wrong.
struct RequestMiddleware: RouterMiddleware {
    /// Whether the connection is secured.
    let isSecure: Bool

    func handle(
        _ request: Request, context: ServerContext,
        next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response: Response
        var closesConnection = false
        do {
            response = try await next(request, context)
        } catch let error as Problem {
            response = error.response()
            closesConnection = error.closesConnection
        } catch let error as HTTPError {
            response = Problem(error).response()
        } catch {
            // The error's type only: its text may hold what was sent.
            context.logger.error(
                "request failed", metadata: ["error": "\(type(of: error))"])
            response =
                Problem(
                    .internalServerError, "internal", title: "The server failed",
                    detail: "the server's log has more under this request's id"
                ).response()
        }
        if let id = context.logger[metadataKey: JSONLogHandler.requestIDKey] {
            response.headers[.requestID] = id.description
        }
        harden(&response)
        // An error's answer to HEAD has no body either: it would be taken for the next answer.
        if request.method == .head { response = response.createHeadResponse() }
        if closesConnection { response = response.closing(context.channel) }
        let level: Logger.Level =
            switch response.status.code {
            case 500...: .warning
            case 400...: .info
            default: .debug
            }
        context.logger.log(
            level: level, "request",
            metadata: [
                // The path may hold a row's key, and the query anything: neither is written.
                "method": "\(request.method)", "route": "\(context.endpointPath ?? "none")",
                "status": "\(response.status.code)",
                "microseconds": "\((ContinuousClock.now - start) / .microseconds(1))",
            ])
        return response
    }

    /// What keeps a browser, or a cache on the way, from making something else of an answer.
    ///
    /// Source: OWASP, "REST Security Cheat Sheet", security headers.
    private func harden(_ response: inout Response) {
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        response.headers[.xContentTypeOptions] = "nosniff"
        response.headers[.contentSecurityPolicy] = "default-src 'none'; frame-ancestors 'none'"
        if isSecure { response.headers[.strictTransportSecurity] = "max-age=31536000" }
    }
}
