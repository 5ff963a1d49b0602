import Avro

/// One field of a row in Postgres's binary COPY form: where its value stands in the row.
struct CopyField {
    var start: Int
    /// -1 for null.
    var byteCount: Int

    var isNull: Bool { byteCount < 0 }
}

/// Finds the fields of a row in Postgres's binary COPY form.
///
/// Source: PostgreSQL documentation, COPY, "Binary Format": a count of fields in 16 bits, then each
/// field's length in 32 bits, -1 for null, and its bytes.
struct CopyRow {
    let bytes: UnsafeRawBufferPointer

    /// Where the first `fields.count` fields stand.
    @inline(__always)
    func find(_ fields: UnsafeMutableBufferPointer<CopyField>) {
        precondition(
            Int(bytes.load16(0)) >= fields.count, "a row has the fields that are asked for")
        var place = 2
        for index in fields.indices {
            let byteCount = Int(Int32(bitPattern: bytes.load32(place)))
            place += 4
            fields[index] = CopyField(start: place, byteCount: byteCount)
            if byteCount > 0 { place += byteCount }
        }
        precondition(place <= bytes.count, "a row's fields end with it")
    }

    /// The value of an eight-byte field.
    @inline(__always)
    func int64(_ field: CopyField) -> Int64 {
        precondition(field.byteCount == 8, "the field has eight bytes")
        return Int64(bitPattern: bytes.load64(field.start))
    }

    /// The value of a four-byte field.
    @inline(__always)
    func int32(_ field: CopyField) -> Int32 {
        precondition(field.byteCount == 4, "the field has four bytes")
        return Int32(bitPattern: bytes.load32(field.start))
    }

    /// The bytes of a field that is not null.
    @inline(__always)
    func value(_ field: CopyField) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[field.start..<(field.start + field.byteCount)])
    }
}

extension UnsafeRawBufferPointer {
    @inline(__always)
    fileprivate func load16(_ place: Int) -> UInt16 {
        UInt16(bigEndian: loadUnaligned(fromByteOffset: place, as: UInt16.self))
    }

    @inline(__always)
    fileprivate func load32(_ place: Int) -> UInt32 {
        UInt32(bigEndian: loadUnaligned(fromByteOffset: place, as: UInt32.self))
    }

    @inline(__always)
    fileprivate func load64(_ place: Int) -> UInt64 {
        UInt64(bigEndian: loadUnaligned(fromByteOffset: place, as: UInt64.self))
    }
}
