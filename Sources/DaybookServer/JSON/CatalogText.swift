import DaybookCatalog

/// Writes what there is: the tables with their rules, the aggregates, the reports with their
/// parameters.
public struct CatalogText: Sendable {
    private let catalog: Catalog
    private let reports: [Report]

    /// A text of this dictionary and these reports.
    public init(_ catalog: Catalog, reports: [Report]) {
        self.catalog = catalog
        self.reports = reports
    }

    /// One object; only the tables that `isShown` lets pass.
    func write(to json: inout JSONWriter, isShown: (String) -> Bool) {
        json.openObject()
        json.field("dictionary", catalog.version)
        json.list("tables", catalog.tables.filter { isShown($0.name) }) { write($0, to: &$1) }
        json.list("aggregates", catalog.aggregates.filter { isShown($0.table) }) {
            write($0, to: &$1)
        }
        json.key("reports")
        CatalogText.write(reports, to: &json)
        json.closeObject()
    }

    /// Reports with their parameters, as an array.
    public static func write(_ reports: [Report], to json: inout JSONWriter) {
        json.openArray()
        for report in reports { write(report, to: &json) }
        json.closeArray()
    }

    private static func write(_ report: Report, to json: inout JSONWriter) {
        json.openObject()
        json.field("name", report.name)
        json.field("title", report.title)
        json.fieldUnlessEmpty("doc", report.doc)
        json.list("parameters", report.parameters) { parameter, json in
            json.openObject()
            json.field("name", parameter.name)
            json.field("type", parameter.type.description)
            if let value = parameter.defaultValue {
                json.key("default")
                json.write(value, of: parameter.type)
            }
            json.fieldUnlessEmpty("doc", parameter.doc)
            json.closeObject()
        }
        if let chart = report.chart {
            json.key("chart")
            json.write(chart)
        }
        json.closeObject()
    }

    private func write(_ table: Table, to json: inout JSONWriter) {
        func names(_ columns: [Int]) -> [String] { columns.map { table.columns[$0].name } }
        json.openObject()
        json.field("name", table.name)
        json.fieldUnlessEmpty("doc", table.doc)
        json.key("key")
        json.write(names(table.key))
        json.list("columns", table.columns) { write($0, to: &$1) }
        if !table.unique.isEmpty {
            json.list("unique", table.unique) { $1.write(names($0)) }
        }
        let references = table.slots.filter { $0.role != .unique }
        if !references.isEmpty {
            json.list("references", references) { slot, json in
                let target = catalog.constraints[slot.constraint]
                json.openObject()
                json.key("columns")
                json.write(names(slot.columns))
                json.field("table", target.table)
                json.key("to")
                json.write(target.columns)
                let rejects = slot.role == .reference(rejectMissing: true)
                json.field("onMissing", rejects ? "reject" : "accept")
                json.closeObject()
            }
        }
        if !table.checks.isEmpty {
            json.list("check", table.checks) { check, json in
                json.openObject()
                json.field("left", table.columns[check.left].name)
                json.field("op", check.comparison.rawValue)
                json.field("right", table.columns[check.right].name)
                json.closeObject()
            }
        }
        json.field("unknownFields", table.unknownFields.rawValue)
        json.field("rejectedRaw", table.rejectedRaw.rawValue)
        json.closeObject()
    }

    private func write(_ column: Column, to json: inout JSONWriter) {
        json.openObject()
        json.field("name", column.name)
        json.field("type", column.type.description)
        json.fieldUnlessEmpty("doc", column.doc)
        if column.isOptional { json.field("optional", true) }
        if let maxLength = column.maxLength { json.field("maxLength", maxLength) }
        if let pattern = column.pattern { json.field("pattern", pattern.text) }
        let values = [
            ("default", column.defaultValue), ("min", column.minimum), ("max", column.maximum),
        ]
        for case (let name, let value?) in values {
            json.key(name)
            json.write(value, of: column.type)
        }
        if let oneOf = column.oneOf {
            json.list("oneOf", oneOf) { $1.write($0, of: column.type) }
        }
        if !column.aliases.isEmpty {
            json.key("alias")
            json.write(column.aliases)
        }
        json.closeObject()
    }

    private func write(_ aggregate: Aggregate, to json: inout JSONWriter) {
        json.openObject()
        json.field("name", aggregate.name)
        json.fieldUnlessEmpty("doc", aggregate.doc)
        json.field("from", aggregate.table)
        json.key("groups")
        json.write(aggregate.groups.map(\.name))
        json.list("measures", aggregate.measures) { measure, json in
            json.openObject()
            json.field("name", measure.name)
            json.field("function", measure.function.rawValue)
            if let column = measure.column { json.field("column", column) }
            json.closeObject()
        }
        json.closeObject()
    }
}

extension JSONWriter {
    fileprivate mutating func fieldUnlessEmpty(_ name: String, _ text: String) {
        if !text.isEmpty { field(name, text) }
    }

    /// A member with an array, an element for every item.
    fileprivate mutating func list<Item>(
        _ name: String, _ items: [Item], _ write: (Item, inout JSONWriter) -> Void
    ) {
        key(name)
        openArray()
        for item in items { write(item, &self) }
        closeArray()
    }
}
