/// A growing run of bytes in Avro's binary encoding, written front to back.
///
/// Source: Apache Avro 1.11 specification, "Binary Encoding". Memory doubles when it is full, so an
/// append costs a bound check and a store. The sink has one owner (`~Copyable`); `finish()` hands
/// the memory to an immutable `Bytes` without a copy.
public struct ByteSink: ~Copyable {
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    @usableFromInline var capacity: Int
    /// How many bytes have been written.
    @inlinable public var count: Int { written }
    @usableFromInline var written: Int

    /// An empty sink with room for `capacity` bytes before it grows.
    public init(capacity: Int = 256) {
        precondition(capacity >= 0, "a capacity is never negative")
        self.capacity = max(capacity, 32)
        self.base = .allocate(capacity: self.capacity)
        self.written = 0
    }

    deinit { base.deallocate() }

    /// Hands the bytes over without copying them.
    public consuming func finish() -> Bytes {
        let bytes = Bytes(owning: base, count: written)
        discard self
        return bytes
    }

    /// Makes room for `extra` more bytes.
    @inlinable public mutating func reserve(_ extra: Int) {
        if written + extra > capacity { grow(extra) }
    }

    @usableFromInline mutating func grow(_ extra: Int) {
        precondition(extra >= 0, "room is never negative")
        let larger = max(capacity * 2, written + extra)
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        memory.update(from: base, count: written)
        base.deallocate()
        base = memory
        capacity = larger
    }

    /// Forgets the bytes and keeps the memory.
    @inlinable public mutating func removeAll() { written = 0 }

    /// Goes back to the first `count` bytes.
    @inlinable public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= written, "a sink is cut back, never forward")
        written = count
    }

    /// Forgets the first `count` bytes and moves the others to the front.
    public mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= written, "no more is forgotten than was written")
        guard count > 0 else { return }
        base.update(from: base + count, count: written - count)
        written -= count
    }

    /// The bytes written so far; valid until the next append.
    @inlinable public var unsafeBytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base, count: written)
    }

    /// The bytes written so far, to be patched in place; valid until the next append.
    @inlinable public var unsafeMutableBytes: UnsafeMutableRawBufferPointer {
        mutating get { UnsafeMutableRawBufferPointer(start: base, count: written) }
    }

    /// One byte as it is.
    @inlinable public mutating func append(byte: UInt8) {
        reserve(1)
        base[written] = byte
        written &+= 1
    }

    /// Raw bytes, without a length before them.
    @inlinable public mutating func append(raw bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        UnsafeMutableRawPointer(base + written).copyMemory(from: source, byteCount: bytes.count)
        written &+= bytes.count
    }

    /// Raw bytes, without a length before them.
    @inlinable public mutating func append(raw bytes: [UInt8]) {
        bytes.withUnsafeBytes { append(raw: $0) }
    }

    /// Bytes that `write` puts into room for `maximum` of them; it returns how many it put there.
    @inlinable public mutating func appendUninitialized<E: Error>(
        upTo maximum: Int, _ write: (UnsafeMutableRawBufferPointer) throws(E) -> Int
    ) throws(E) {
        reserve(maximum)
        let room = UnsafeMutableRawBufferPointer(start: base + written, count: maximum)
        let count = try write(room)
        precondition(count >= 0 && count <= maximum, "no more is written than there is room for")
        written &+= count
    }

    /// A little-endian integer of fixed width.
    @inlinable public mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
        let size = MemoryLayout<T>.size
        reserve(size)
        UnsafeMutableRawPointer(base + written).storeBytes(of: value.littleEndian, as: T.self)
        written &+= size
    }

    /// A big-endian integer of fixed width (Postgres's binary formats).
    @inlinable public mutating func append<T: FixedWidthInteger>(bigEndian value: T) {
        let size = MemoryLayout<T>.size
        reserve(size)
        UnsafeMutableRawPointer(base + written).storeBytes(of: value.bigEndian, as: T.self)
        written &+= size
    }

    /// An Avro `long` or `int`: zigzag, then base-128 varint, at most 10 bytes.
    @inlinable public mutating func append(long value: Int64) {
        reserve(10)
        var bits = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        while bits >= 0x80 {
            base[written] = UInt8(truncatingIfNeeded: bits) | 0x80
            written &+= 1
            bits >>= 7
        }
        base[written] = UInt8(truncatingIfNeeded: bits)
        written &+= 1
    }

    /// An Avro `boolean`: one byte, 0 or 1.
    @inlinable public mutating func append(boolean value: Bool) {
        append(byte: value ? 1 : 0)
    }

    /// An Avro `double`: IEEE 754, eight bytes, little endian.
    @inlinable public mutating func append(double value: Double) {
        append(littleEndian: value.bitPattern)
    }

    /// An Avro `float`: IEEE 754, four bytes, little endian.
    @inlinable public mutating func append(float value: Float) {
        append(littleEndian: value.bitPattern)
    }

    /// Avro `bytes` or `string`: a long with the length, then the bytes.
    @inlinable public mutating func append(bytes: UnsafeRawBufferPointer) {
        append(long: Int64(bytes.count))
        append(raw: bytes)
    }

    /// Avro `bytes` or `string` from an array.
    @inlinable public mutating func append(bytes: [UInt8]) {
        bytes.withUnsafeBytes { append(bytes: $0) }
    }

    /// An Avro `string` in UTF-8.
    @inlinable public mutating func append(string: String) {
        var copy = string
        copy.withUTF8 { append(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension ByteSink {
    /// Lets `write` fill up to `capacity` bytes in place; it returns how many it wrote.
    @inlinable public mutating func append(
        capacity: Int, _ write: (UnsafeMutableRawBufferPointer) -> Int
    ) {
        reserve(capacity)
        let room = UnsafeMutableRawBufferPointer(start: base + written, count: capacity)
        let count = write(room)
        precondition(count >= 0 && count <= capacity, "no more is written than there is room")
        written &+= count
    }
}

// @unchecked: the memory has one owner, the sink, and the sink can be moved but not copied.
extension ByteSink: @unchecked Sendable {}
