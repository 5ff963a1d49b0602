import Avro
import DaybookCatalog
import DaybookLog

/// The rows of one table that were written under one schema: they share a list of columns, and so a
/// COPY.
struct TableRun: Hashable {
    let table: String
    /// The table's branch in the union of rows.
    let branch: Int
    fileprivate let schemaIndex: Int
}

/// The transcoders for every schema that the log has had, compiled when first met.
final class TranscoderSet {
    private let catalog: Catalog
    private var schemas: [LogSchema] = []
    private var transcoders: [TableRun: RowTranscoder] = [:]
    private let plans: [String: AggregatePlan]

    init(catalog: Catalog) {
        self.catalog = catalog
        let plans = catalog.aggregates.map { ($0.name, AggregatePlan($0, in: catalog)) }
        self.plans = Dictionary(uniqueKeysWithValues: plans)
    }

    /// How the rows of an aggregate are made, if there is one of that name.
    func aggregate(named name: String) -> AggregatePlan? { plans[name] }

    /// The run of a table's rows under a schema.
    ///
    /// - Throws: `ProjectionFault.cannotApply` if the rows cannot be read as the table's.
    func run(_ table: String, schema: LogSchema) throws -> TableRun {
        guard let target = catalog.table(named: table), let branch = schema.branch(of: table) else {
            throw ProjectionFault.cannotApply(
                projection: table, reason: "the schema of its events does not have the table")
        }
        let run = TableRun(table: table, branch: branch, schemaIndex: index(of: schema))
        if transcoders[run] == nil {
            transcoders[run] = try RowTranscoder(schema.records[branch], table: target)
        }
        return run
    }

    /// The transcoder of a run that `run(_:schema:)` gave.
    subscript(run: TableRun) -> RowTranscoder {
        guard let transcoder = transcoders[run] else {
            preconditionFailure("a run is made before it is used")
        }
        return transcoder
    }

    private func index(of schema: LogSchema) -> Int {
        if let known = schemas.lastIndex(of: schema) { return known }
        schemas.append(schema)
        return schemas.count - 1
    }
}
