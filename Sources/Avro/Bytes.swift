/// Immutable bytes with one owner of the memory and any number of readers.
///
/// A `Bytes` is made by `ByteSink.finish()` without a copy, or by copying a buffer. It is a class
/// so that a batch, a block and a reader can hold the same memory without counting array elements.
// @unchecked: the memory is written before `init` returns, never after, and freed in `deinit`.
public final class Bytes: @unchecked Sendable {
    @usableFromInline let base: UnsafeMutablePointer<UInt8>
    /// How many bytes there are.
    public let count: Int

    /// Takes ownership of memory that was allocated by `UnsafeMutablePointer.allocate`.
    @usableFromInline init(owning base: UnsafeMutablePointer<UInt8>, count: Int) {
        precondition(count >= 0, "a byte count is never negative")
        self.base = base
        self.count = count
    }

    /// Copies `bytes`, and leaves `padding` readable zero bytes behind them (simdjson reads past
    /// the end of its input).
    public convenience init(copying bytes: UnsafeRawBufferPointer, padding: Int = 0) {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count + padding + 1)
        if let source = bytes.baseAddress {
            UnsafeMutableRawPointer(memory).copyMemory(from: source, byteCount: bytes.count)
        }
        (memory + bytes.count).initialize(repeating: 0, count: padding + 1)
        self.init(owning: memory, count: bytes.count)
    }

    /// Copies an array's bytes.
    public convenience init(_ bytes: [UInt8], padding: Int = 0) {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count + padding + 1)
        bytes.withUnsafeBufferPointer { source in
            if let start = source.baseAddress {
                memory.initialize(from: start, count: source.count)
            }
        }
        (memory + bytes.count).initialize(repeating: 0, count: padding + 1)
        self.init(owning: memory, count: bytes.count)
    }

    deinit { base.deallocate() }

    /// The bytes. The pointer is valid while `self` is alive; prefer `withUnsafeBytes`.
    @inlinable public var unsafeBytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base, count: count)
    }

    /// Calls `body` with the bytes of `range`, and keeps them alive meanwhile.
    @inlinable public func withUnsafeBytes<R, E: Error>(
        in range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= count, "a range lies within the bytes")
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// Calls `body` with all the bytes, and keeps them alive meanwhile.
    @inlinable public func withUnsafeBytes<R, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try withUnsafeBytes(in: 0..<count, body)
    }

    /// A copy of `range` as an array.
    public func array(in range: Range<Int>) -> [UInt8] {
        withUnsafeBytes(in: range) { Array($0) }
    }
}
