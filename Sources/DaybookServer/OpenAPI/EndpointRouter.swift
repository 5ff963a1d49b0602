import HTTPTypes
import Hummingbird

/// Puts endpoints into a router, and answers the methods that a path does not have.
struct EndpointRouter {
    /// Methods that HTTP has; where a path has none of these it says so with 405.
    private static let methods: [HTTPRequest.Method] = [
        .get, .head, .post, .put, .patch, .delete, .options, .trace, .connect, .query,
    ]

    /// Let in who may come in, for what is not for everyone, one after the other.
    let gates: [any MiddlewareProtocol<Request, Response, ServerContext>]
    let requests: RequestCounts

    func add(_ endpoints: [Endpoint], to router: Router<ServerContext>) {
        let open = router.group()
        let guarded = router.group()
        for gate in gates { guarded.add(middleware: gate) }
        var paths: [String] = []
        for endpoint in endpoints where !paths.contains(endpoint.path) {
            paths.append(endpoint.path)
        }
        for path in paths {
            let same = endpoints.filter { $0.path == path }
            let isOpen = same.allSatisfy { $0.access == .everyone }
            add(same, at: path, to: isOpen ? open : guarded)
        }
    }

    private func add(
        _ endpoints: [Endpoint], at path: String, to group: RouterGroup<ServerContext>
    ) {
        for endpoint in endpoints {
            let count = requests.counter(endpoint)
            let respond: Endpoint.Handler = { request, context in
                try await count.counting { try await endpoint.handler(request, context) }
            }
            group.on(RouterPath(path), method: endpoint.method, use: respond)
            guard endpoint.method == .get else { continue }
            // The body of an answer to HEAD is left out for all answers in one place.
            group.on(RouterPath(path), method: .head, use: respond)
        }
        var allowed = endpoints.map(\.method)
        if allowed.contains(.get) { allowed.append(.head) }
        let problem = Problem.methodNotAllowed(allowed.map(\.rawValue))
        for method in EndpointRouter.methods where !allowed.contains(method) {
            group.on(RouterPath(path), method: method) { _, _ -> Response in throw problem }
        }
    }
}

extension HTTPRequest.Method {
    /// Source: draft-ietf-httpbis-safe-method-w-body.
    fileprivate static let query = HTTPRequest.Method("QUERY")!
}

extension Problem {
    static func methodNotAllowed(_ allowed: [String]) -> Problem {
        var problem = Problem(
            .methodNotAllowed, "method-not-allowed", title: "The path has no such method",
            detail: "it has \(allowed.joined(separator: ", "))")
        problem.headers[.allow] = allowed.joined(separator: ", ")
        return problem
    }
}
