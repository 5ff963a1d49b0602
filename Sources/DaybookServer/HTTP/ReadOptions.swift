import DaybookLog
import Hummingbird

/// What every read understands: `min_position=N&timeout=S`, to see at least what is below N.
struct ReadOptions {
    /// The longest that a request may wait, in seconds.
    static let waitSecondsMax = 60.0

    private var minimumPosition: Position?
    private var waitSeconds = 10.0
    /// The other parameters of the query, for the route.
    private(set) var others: [(name: String, value: String)] = []

    /// Reads the options from the request's query.
    ///
    /// - Throws: a problem that names what is not understood.
    init(_ request: Request) throws(Problem) {
        for (name, value) in request.uri.queryParameters {
            switch name {
            case "min_position":
                guard let position = Position(value), position >= 0 else {
                    throw .badRequest("bad-option", "min_position is a position, 0 or more")
                }
                minimumPosition = position
            case "timeout": waitSeconds = try ReadOptions.seconds(value)
            default: others.append((String(name), String(value)))
            }
        }
    }

    /// Refuses every parameter that the route does not know either.
    ///
    /// - Throws: a problem that names those that there are.
    func refuseOthers(besides known: [String] = []) throws(Problem) {
        guard let other = others.first(where: { !known.contains($0.name) }) else { return }
        let all = known + ["min_position", "timeout"]
        throw .badRequest(
            "bad-option", "there is no option \(other.name); there are "
                + all.joined(separator: ", "))
    }

    /// A time to wait, as `timeout=` says it.
    static func seconds(_ text: Substring) throws(Problem) -> Double {
        guard let seconds = Double(text), (0...waitSecondsMax).contains(seconds) else {
            throw .badRequest("bad-option", "timeout is a number of seconds, at most 60")
        }
        return seconds
    }

    /// Waits until `projections`, or those of `names`, have applied everything below the position
    /// that is asked for.
    ///
    /// - Returns: a position below which they have applied everything, for `Daybook-Position`.
    /// - Throws: 503 if they do not get there in time, or have stopped; 400 for a position that
    ///   the log does not have.
    func wait(
        for projections: any ProjectionStatusSource, _ names: Set<String>? = nil
    ) async throws(Problem) -> Position {
        if let minimumPosition {
            let end = projections.end
            guard minimumPosition <= end else {
                throw .badRequest(
                    "beyond-end", "the log ends before position \(end), and nobody was told of a "
                        + "later one; min_position is an answer's Daybook-Position")
            }
            let isThere = await projections.waitUntilApplied(
                minimumPosition, by: names, seconds: waitSeconds)
            guard isThere else {
                throw Problem(
                    .serviceUnavailable, "behind",
                    title: "What was asked for is not in Postgres yet",
                    detail: "applied is everything below \(projections.applied(by: names)), asked "
                        + "for below \(minimumPosition); `daybook status` says more"
                ).retrying(afterSeconds: 1)
            }
        }
        return projections.applied(by: names)
    }
}

extension ProjectionStatusSource {
    /// Everything below it is applied by all projections, or by those of `names`.
    func applied(by names: Set<String>? = nil) -> Position {
        projections.lazy.filter { names?.contains($0.name) ?? true }.map(\.position).min() ?? 0
    }

    /// Waits until all projections, or those of `names`, have applied everything below `position`;
    /// whether they have. One that has stopped before it never will.
    func waitUntilApplied(
        _ position: Position, by names: Set<String>? = nil, seconds: Double
    ) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            let behind = projections.filter {
                names?.contains($0.name) ?? true && $0.position < position
            }
            if behind.isEmpty { return true }
            let isHopeless = behind.contains { $0.state == "failed" || $0.state == "halted" }
            if isHopeless || ContinuousClock.now >= deadline { return false }
            try? await Task.sleep(for: .milliseconds(5))
            if Task.isCancelled { return false }
        }
    }
}
