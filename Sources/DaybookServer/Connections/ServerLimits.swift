/// What the server takes from the network at most. Everything that a client can make grow, or make
/// last, has a name here; what it can make grow within a body stands in `IntakeLimits`.
public struct ServerLimits: Sendable, Equatable {
    /// Bytes of one body. More is 413.
    public var bodyByteCount = 8 << 20
    /// Bytes of all bodies that are received or judged. Beyond it a body is refused with 503, and
    /// those that come slowly are ended after `pressedSeconds`.
    public var bodiesByteCount = 128 << 20
    /// Bytes of all answers that clients have not taken yet. Beyond it connections of which nothing
    /// was taken for `pressedSeconds` are ended; at twice as many any request is refused with 503,
    /// a small append at four times as many.
    public var answersByteCount = 128 << 20
    /// Open connections. One more is answered with 503 and closed.
    public var connectionCount = 4096
    /// Bytes of a request's line and header fields together, and of the largest. More is 431.
    public var headByteCount = 32 << 10
    /// Header fields of a request. More is 431.
    public var headFieldCount = 100
    /// How long the first request's line and header may take, the TLS handshake included.
    public var headSeconds = 10
    /// How long a connection may wait for its next request.
    public var idleSeconds = 75
    /// How long a body may take, whatever its size; after that it must have come at a mean rate of
    /// `bodyBytesPerSecond`. Slower is 408.
    public var bodySeconds = 20
    /// The mean rate of a body after `bodySeconds`.
    public var bodyBytesPerSecond = 16 << 10
    /// How long a client may take nothing of an answer that waits for it.
    public var stallSeconds = 60
    /// How long a slow client is borne with while its memory is needed for others.
    public var pressedSeconds = 2
    /// How long, and how many bytes, a client may go on to send of a body that was answered before
    /// its end.
    public var lingerSeconds = 5
    /// See `lingerSeconds`.
    public var lingerByteCount = 1 << 20

    /// The limits that the documentation names.
    public init() {}
}
