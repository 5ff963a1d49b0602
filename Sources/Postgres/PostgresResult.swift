import CPostgres

/// The rows that a query gave, held in memory; freed with the last reference.
public final class PostgresResult {
    private let handle: OpaquePointer

    /// How many rows there are.
    public let rowCount: Int
    /// The columns' names, in order.
    public let columnNames: [String]

    init(owning handle: OpaquePointer) {
        self.handle = handle
        rowCount = Int(PQntuples(handle))
        columnNames = (0..<PQnfields(handle)).map { String(cString: PQfname(handle, $0)) }
    }

    deinit { PQclear(handle) }

    /// How many rows the command inserted, updated, deleted, selected or copied (its command tag).
    public var affectedRowCount: Int {
        Int(String(cString: PQcmdTuples(handle))) ?? 0
    }

    /// What the command did, for example `INSERT 0 3` or `ROLLBACK`.
    public var commandTag: String { String(cString: PQcmdStatus(handle)) }

    /// The type of a column, see `TypeOID`.
    public func typeOID(column: Int) -> UInt32 {
        PQftype(handle, Int32(column))
    }

    /// The place of the column `name`. That it exists is the caller's promise.
    public func column(_ name: String) -> Int {
        guard let column = columnNames.firstIndex(of: name) else {
            preconditionFailure("the result has no column \(name)")
        }
        return column
    }

    /// The value's bytes in the form the query asked for; nil is NULL. Valid while `self` lives.
    func value(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer? {
        precondition(row >= 0 && row < rowCount, "the row is within the result")
        precondition(column >= 0 && column < columnNames.count, "the column is within the result")
        let (row, column) = (Int32(row), Int32(column))
        if PQgetisnull(handle, row, column) == 1 { return nil }
        return UnsafeRawBufferPointer(
            start: PQgetvalue(handle, row, column), count: Int(PQgetlength(handle, row, column)))
    }

    func isBinary(_ column: Int) -> Bool {
        PQfformat(handle, Int32(column)) == PostgresFormat.binary.rawValue
    }
}

extension PostgresResult: RandomAccessCollection {
    /// The first row's number, 0.
    public var startIndex: Int { 0 }
    /// One past the last row's number.
    public var endIndex: Int { rowCount }
    /// The row of that number.
    public subscript(row: Int) -> PostgresRow { PostgresRow(result: self, row: row) }
}

/// One row of a result. Values are read by column number or name; nil is NULL.
public struct PostgresRow {
    let result: PostgresResult
    let row: Int

    /// The value as text: any type in text form, and text, varchar, name and json in binary form.
    public func text(_ column: Int) -> String? {
        withExtendedLifetime(result) {
            result.value(row, column).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Calls `body` with the value's bytes as they came, without a copy; nil is NULL.
    public func withBytes<R>(_ column: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
        withExtendedLifetime(result) { result.value(row, column).map(body) }
    }

    /// The value's bytes as they came: the text's UTF-8, or the type's binary form.
    public func bytes(_ column: Int) -> [UInt8]? {
        withExtendedLifetime(result) { result.value(row, column).map { [UInt8]($0) } }
    }

    /// A smallint, integer or bigint, in either form; nil also for what is no integer.
    public func int64(_ column: Int) -> Int64? {
        guard result.isBinary(column) else { return text(column).flatMap { Int64($0) } }
        return withExtendedLifetime(result) {
            guard let value = result.value(row, column) else { return nil }
            return switch value.count {
            case 2: Int64(Int16(bigEndian: value.loadUnaligned(as: Int16.self)))
            case 4: Int64(Int32(bigEndian: value.loadUnaligned(as: Int32.self)))
            case 8: Int64(bigEndian: value.loadUnaligned(as: Int64.self))
            default: nil
            }
        }
    }

    /// A boolean, in either form.
    public func bool(_ column: Int) -> Bool? {
        bytes(column).map { $0 == [1] || $0 == [UInt8(ascii: "t")] }
    }

    /// The value of the column `name` as text, see `text(_:)`.
    public func text(_ name: String) -> String? { text(result.column(name)) }
    /// The value of the column `name` as bytes, see `bytes(_:)`.
    public func bytes(_ name: String) -> [UInt8]? { bytes(result.column(name)) }
    /// The value of the column `name` as an integer, see `int64(_:)`.
    public func int64(_ name: String) -> Int64? { int64(result.column(name)) }
    /// The value of the column `name` as a boolean, see `bool(_:)`.
    public func bool(_ name: String) -> Bool? { bool(result.column(name)) }
}
