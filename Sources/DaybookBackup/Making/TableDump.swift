import Avro
import DaybookCatalog
import DaybookLog
import DaybookProjections
import Postgres

/// Copies one table out of Postgres, in order of its key, into a file of a backup.
///
/// Rows go by one at a time: hashed as they stand in the COPY, and turned into Avro in the block
/// under way.
struct TableDump {
    let connection: PostgresConnection
    let table: Table
    /// The schema that the table is in.
    let schema: String
    let hashKey: RowHashKey
    /// How many bytes make a block, before compression.
    let blockByteCount: Int

    /// What came of a table.
    struct Outcome {
        let rowCount: Int64
        let digest: RowDigest
        let file: TableFile.Outcome
    }

    /// Inside the caller's transaction. `progress` is told the rows so far, now and then.
    func run(
        into file: any BackupFileWriter, codec: ContainerCodec, level: Int?,
        metadata: [String: [UInt8]], progress: (Int64) throws -> Void
    ) throws -> Outcome {
        let transcoder = CopyTranscoder(table)
        let header = ContainerHeader(
            schema: transcoder.schema, codec: codec, metadata: metadata, syncMarker: .random())
        let output = TableFile(file, header: header, level: level)
        do {
            let (rowCount, digest) = try copy(transcoder, to: output, progress)
            return Outcome(rowCount: rowCount, digest: digest, file: try output.finish())
        } catch {
            output.abandon()
            guard let fault = error as? CopyTranscoder.Fault else { throw error }
            throw BackupError.table(
                table.name,
                "the column \(fault.column) \(fault.what): see `daybook verify tables "
                    + "\(table.name)`")
        }
    }

    private func copy(
        _ transcoder: CopyTranscoder, to output: TableFile, _ progress: (Int64) throws -> Void
    ) throws -> (rowCount: Int64, digest: RowDigest) {
        var digest = RowDigest()
        var block = ByteSink(capacity: blockByteCount + 4096)
        var blockRowCount = 0
        var isFirst = true
        _ = try connection.copyOut(query(transcoder)) { piece in
            var row = piece
            if isFirst {
                // The header comes with the first row, or with the trailer if there is none.
                row = UnsafeRawBufferPointer(rebasing: piece.dropFirst(BinaryCopy.header.count))
                isFirst = false
            }
            guard row.count > BinaryCopy.trailer.count else { return }
            try transcoder.append(row, to: &block)
            digest.add(row: row, key: hashKey)
            blockRowCount += 1
            if block.count >= blockByteCount {
                try send(&block, &blockRowCount, to: output)
                try progress(Int64(digest.rowCount))
            }
        }
        try send(&block, &blockRowCount, to: output)
        try progress(Int64(digest.rowCount))
        return (Int64(digest.rowCount), digest)
    }

    private func send(
        _ block: inout ByteSink, _ rowCount: inout Int, to output: TableFile
    ) throws {
        guard rowCount > 0 else { return }
        var next = ByteSink(capacity: blockByteCount + 4096)
        swap(&block, &next)
        try output.append(next.finish(), count: rowCount)
        rowCount = 0
    }

    /// In the order of the key: texts by their bytes, whatever the database's own order is.
    private func query(_ transcoder: CopyTranscoder) -> String {
        let columns = transcoder.columns.map { column in
            "\(SQL.identifier(column.name))::\(column.sqlType)"
        }
        let order =
            table.key.isEmpty
            ? [SQL.identifier(Table.positionColumn)]
            : table.key.map { index in
                let column = table.columns[index]
                let name = SQL.identifier(column.name)
                return column.type == .string ? "\(name) COLLATE \"C\"" : name
            }
        return "COPY (SELECT \(columns.joined(separator: ", "))"
            + " FROM \(SQL.identifier(schema, table.name))"
            + " ORDER BY \(order.joined(separator: ", "))) TO STDOUT (FORMAT binary)"
    }
}
