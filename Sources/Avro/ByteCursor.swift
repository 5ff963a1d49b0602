/// Why bytes could not be read as Avro's binary encoding.
public enum AvroDecodingError: Error, Equatable, Sendable {
    /// The bytes end inside a value.
    case truncated
    /// A varint is longer than ten bytes or does not fit 64 bits.
    case varintTooLong
    /// A length or count is negative or larger than what follows.
    case badLength(Int64)
    /// A union branch or enum index that the schema does not have.
    case badIndex(Int64)
    /// A boolean that is neither 0 nor 1.
    case badBoolean(UInt8)
    /// An `int` outside 32 bits.
    case intOutOfRange(Int64)
    /// A `string` that is no UTF-8.
    case notUTF8
    /// Values nest deeper than `AvroLimits.depth`.
    case tooDeep
    /// More items without bytes (an array of nulls) than `AvroLimits.emptyItemCount`.
    case tooManyEmptyItems
    /// Bytes are left behind the last value; how many.
    case bytesLeft(Int)
    /// The writer chose a branch or symbol that the reader's schema cannot take.
    case unresolvable(path: String, AvroSchemaError.Mismatch)
}

/// A reading place in bytes in Avro's binary encoding. It owns nothing: the memory must outlive it.
///
/// Source: Apache Avro 1.11 specification, "Binary Encoding". Nothing is read past the end, and no
/// length is used before it was compared with what is left.
public struct ByteCursor {
    @usableFromInline var next: UnsafePointer<UInt8>
    @usableFromInline let end: UnsafePointer<UInt8>

    /// A cursor at the first of `bytes`.
    @inlinable public init(_ bytes: UnsafeRawBufferPointer) {
        let start =
            bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            ?? UnsafePointer(bitPattern: 1).unsafelyUnwrapped
        next = start
        end = start + bytes.count
    }

    /// How many bytes are left.
    @inlinable public var remaining: Int { end - next }
    /// Whether everything has been read.
    @inlinable public var isAtEnd: Bool { next == end }
    /// The address of the next byte; a difference of two gives a length.
    @inlinable public var address: UnsafeRawPointer { UnsafeRawPointer(next) }

    /// An Avro `long` (or `int`).
    @inlinable public mutating func readLong() throws(AvroDecodingError) -> Int64 {
        guard next < end else { throw .truncated }
        let first = next.pointee
        if first < 0x80 {
            next += 1
            return Int64(first >> 1) ^ -Int64(first & 1)
        }
        return try readLongSlowly()
    }

    /// Passes over an Avro `long` (or `int`); whether it fits 64 bits is not looked at.
    @inlinable public mutating func skipLong() throws(AvroDecodingError) {
        let limit = next + min(10, end - next)
        while next < limit {
            let byte = next.pointee
            next += 1
            if byte < 0x80 { return }
        }
        throw limit == end ? .truncated : .varintTooLong
    }

    @usableFromInline mutating func readLongSlowly() throws(AvroDecodingError) -> Int64 {
        var bits: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard next < end else { throw .truncated }
            let byte = next.pointee
            next += 1
            if shift == 63 && byte > 1 { throw .varintTooLong }
            bits |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { break }
            shift += 7
            if shift > 63 { throw .varintTooLong }
        }
        return Int64(bitPattern: bits >> 1) ^ -Int64(bitPattern: bits & 1)
    }

    /// `count` bytes as they are.
    @inlinable public mutating func readRaw(
        _ count: Int
    ) throws(AvroDecodingError) -> UnsafeRawBufferPointer {
        guard count >= 0 else { throw .badLength(Int64(count)) }
        guard count <= remaining else { throw .truncated }
        let bytes = UnsafeRawBufferPointer(start: next, count: count)
        next += count
        return bytes
    }

    /// Avro `bytes` or `string`: the bytes after the length.
    @inlinable public mutating func readBytes() throws(AvroDecodingError)
        -> UnsafeRawBufferPointer
    {
        let count = try readLong()
        guard count >= 0 else { throw .badLength(count) }
        guard count <= Int64(remaining) else { throw .truncated }
        return try readRaw(Int(count))
    }

    /// An Avro `string`; bytes that are no UTF-8 are repaired with U+FFFD.
    public mutating func readString() throws(AvroDecodingError) -> String {
        String(decoding: try readBytes(), as: UTF8.self)
    }

    /// An Avro `boolean`.
    @inlinable public mutating func readBoolean() throws(AvroDecodingError) -> Bool {
        guard next < end else { throw .truncated }
        let byte = next.pointee
        guard byte < 2 else { throw .badBoolean(byte) }
        next += 1
        return byte == 1
    }

    /// A little-endian integer of fixed width.
    @inlinable public mutating func readLittleEndian<T: FixedWidthInteger>(
        _ type: T.Type
    ) throws(AvroDecodingError) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw .truncated }
        let value = UnsafeRawPointer(next).loadUnaligned(as: T.self)
        next += size
        return T(littleEndian: value)
    }

    /// An Avro `double`.
    @inlinable public mutating func readDouble() throws(AvroDecodingError) -> Double {
        Double(bitPattern: try readLittleEndian(UInt64.self))
    }

    /// An Avro `float`.
    @inlinable public mutating func readFloat() throws(AvroDecodingError) -> Float {
        Float(bitPattern: try readLittleEndian(UInt32.self))
    }

    /// Passes over `count` bytes.
    @inlinable public mutating func skip(_ count: Int) throws(AvroDecodingError) {
        _ = try readRaw(count)
    }
}
