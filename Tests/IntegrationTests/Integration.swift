import Testing

/// Black-box tests: the real `daybook` program, real sockets, a real Postgres, real kills.
///
/// Each has a server and a Postgres of its own, so they run one after the other.
@Suite("Integration", .serialized) enum Integration {}
