import CSimdjson
import Synchronization

/// Parsers that are ready for use: each is used by one thread at a time and keeps its memory.
final class JSONParserPool: Sendable {
    static let shared = JSONParserPool()

    /// A parser that holds more than this is not kept.
    private static let heldByteCountMax = 32 << 20
    private static let parserCountMax = 16

    // @unchecked: whoever took it out of the pool is the only one who uses it.
    private struct Parser: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    private let free = Mutex<[Parser]>([])

    /// Calls `body` with a parser; its answers hold until `body` returns.
    func withParser<R>(_ body: (OpaquePointer) -> R) -> R {
        let kept = free.withLock { $0.popLast() }
        guard let parser = kept ?? djs_new().map(Parser.init) else {
            preconditionFailure("there is no memory for a JSON parser")
        }
        defer {
            let isSmall = djs_held_bytes(parser.pointer) <= Self.heldByteCountMax
            let isKept =
                isSmall
                && free.withLock { parsers in
                    guard parsers.count < Self.parserCountMax else { return false }
                    parsers.append(parser)
                    return true
                }
            if !isKept { djs_free(parser.pointer) }
        }
        return body(parser.pointer)
    }
}
