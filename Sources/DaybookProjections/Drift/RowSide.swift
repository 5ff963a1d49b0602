/// One side of a comparison: rows that can be read again, and are the same every time.
public protocol RowSide {
    /// Calls `body` with every row, in any order, as it stands in a binary COPY: the count of
    /// fields and the fields, in the order of the comparison's shape. The bytes are valid during
    /// the call.
    func forEachRow(_ body: (UnsafeRawBufferPointer) throws -> Void) throws
}
