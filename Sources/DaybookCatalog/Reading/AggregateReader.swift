import Foundation
import Yams

/// Reads the definition of an aggregate.
struct AggregateReader {
    let reader: DefinitionReader

    static let keys = [
        "aggregate", "doc", "from", "groupBy", "measures", "where", "timeZone",
    ]

    func aggregate(_ node: Node) -> AggregateDraft? {
        guard let fields = reader.fields(node, of: "an aggregate", known: Self.keys),
            let name = fields["aggregate"].flatMap({ reader.name($0, of: "`aggregate`") })
        else { return nil }
        if Naming.reservedTables.contains(name.value) {
            reader.report(
                name.place, "an aggregate may not be named `\(name.value)`",
                "that path is the interface's own; choose another name")
        }
        guard let from = fields.text("from") else {
            reader.report(
                fields.place, "the aggregate does not say from which table",
                "write `from:` and a table's name")
            return nil
        }
        let groups = entries("groupBy", of: fields).compactMap(group)
        let measures = entries("measures", of: fields).compactMap(measure)
        var taken: Set<String> = []
        for name in groups.map(\.name) + measures.map(\.name)
        where !taken.insert(name.value.lowercased()).inserted {
            reader.report(
                name.place, "`\(name.value)` stands twice in the aggregate",
                "groups and measures need names of their own")
        }
        return AggregateDraft(
            name: name, doc: fields.text("doc")?.value ?? "", from: from, groups: groups,
            measures: measures, condition: fields["where"].flatMap(condition),
            timeZone: timeZone(fields))
    }

    /// The pairs of a mapping from names to expressions, in their order.
    private func entries(
        _ key: String, of fields: Fields
    ) -> [(name: Located<String>, expression: Located<String>)] {
        guard case .mapping(let mapping) = fields[key], !mapping.isEmpty else {
            let example = key == "groupBy" ? "{year: year(datetime)}" : "{rows: count}"
            reader.report(
                fields.place(of: key), "the aggregate has no `\(key)`", "write `\(key): \(example)`"
            )
            return []
        }
        return mapping.compactMap { pair in
            guard let name = reader.name(pair.key, of: "a name in `\(key)`"),
                let expression = reader.text(pair.value, of: "`\(name.value)`")
            else { return nil }
            if Naming.reservedColumns.contains(name.value.lowercased()) {
                reader.report(
                    name.place, "a column may not be named `\(name.value)`",
                    "every table in Postgres has one of that name; choose another")
            }
            return (name, expression)
        }
    }

    private func group(_ name: Located<String>, _ expression: Located<String>) -> GroupDraft? {
        let call = Call(expression.value)
        guard let functionName = call.function else {
            return GroupDraft(name: name, function: nil, column: expression)
        }
        let remedy =
            "write a column, \(Aggregate.TimeFunction.plain.map(\.name).joined(separator: ", ")) "
            + "of a column, or `bucket(column, 15m)`"
        let function: Aggregate.TimeFunction?
        switch call.arguments.count {
        case 1: function = Aggregate.TimeFunction.plain.first { $0.name == functionName }
        case 2 where functionName == "bucket":
            function = Aggregate.TimeFunction(bucketWidth: call.arguments[1])
        default: function = nil
        }
        guard let function, let column = call.arguments.first else {
            reader.report(expression.place, "`\(expression.value)` is no group", remedy)
            return nil
        }
        return GroupDraft(
            name: name, function: function,
            column: Located(value: column, place: expression.place))
    }

    private func measure(_ name: Located<String>, _ expression: Located<String>) -> MeasureDraft? {
        let call = Call(expression.value)
        if call.function == nil && expression.value == "count" {
            return MeasureDraft(name: name, function: .count, column: nil)
        }
        guard let functionName = call.function, call.arguments.count == 1,
            let function = Aggregate.Measure.Function(rawValue: functionName), function != .count
        else {
            reader.report(
                expression.place, "`\(expression.value)` is no measure",
                "write count, or sum, min, max or avg of a column such as `sum(amount)`")
            return nil
        }
        return MeasureDraft(
            name: name, function: function,
            column: Located(value: call.arguments[0], place: expression.place))
    }

    private func condition(_ node: Node) -> ConditionDraft? {
        let what = "`where`"
        guard let fields = reader.fields(node, of: what, known: ["left", "op", "right"]),
            let (left, comparison, right) = reader.comparison(fields, of: what)
        else { return nil }
        return ConditionDraft(left: left, comparison: comparison, right: right)
    }

    /// The zone's IANA name, as Postgres understands it too: "GMT+3" means opposite things to both.
    private func timeZone(_ fields: Fields) -> String {
        guard let text = fields.text("timeZone") else { return Aggregate.universalTime }
        let isRegion = text.value.contains("/") && TimeZone(identifier: text.value) != nil
        if text.value != Aggregate.universalTime && !isRegion {
            reader.report(
                text.place, "`\(text.value)` is no time zone",
                "write UTC or an IANA name such as Europe/Paris")
        }
        return text.value
    }
}

/// `function(argument, …)`, or anything else, which has no function.
private struct Call {
    let function: String?
    let arguments: [String]

    init(_ text: String) {
        guard let open = text.firstIndex(of: "("), text.last == ")" else {
            function = nil
            arguments = []
            return
        }
        function = String(text[..<open])
        let inner = text[text.index(after: open)...].dropLast()
        arguments = inner.split(separator: ",", omittingEmptySubsequences: false).map {
            $0.trimmingCharacters(in: .whitespaces)
        }
    }
}

extension Aggregate {
    static let universalTime = "UTC"
}

extension Aggregate.TimeFunction {
    static let plain: [Self] = [.year, .quarter, .month, .day, .date, .hour, .minute]

    /// The word in the dictionary.
    var name: String {
        switch self {
        case .year: "year"
        case .quarter: "quarter"
        case .month: "month"
        case .day: "day"
        case .date: "date"
        case .hour: "hour"
        case .minute: "minute"
        case .bucket: "bucket"
        }
    }

    /// Whether it needs a time of the day.
    var isFinerThanDay: Bool {
        switch self {
        case .hour, .minute, .bucket: true
        case .year, .quarter, .month, .day, .date: false
        }
    }

    private static let units: [(letter: Character, seconds: Int64)] = [
        ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1),
    ]

    /// `bucket` of a width such as 15m, 1h or 7d.
    init?(bucketWidth text: String) {
        guard let unit = Self.units.first(where: { $0.letter == text.last }), text.count <= 7,
            let count = Int64(text.dropLast()), count > 0
        else { return nil }
        self = .bucket(seconds: count * unit.seconds)
    }

    /// A width in the largest unit of which it is a whole multiple.
    static func widthText(seconds: Int64) -> String {
        for unit in units where seconds % unit.seconds == 0 {
            return "\(seconds / unit.seconds)\(unit.letter)"
        }
        preconditionFailure("every width is a multiple of one second")
    }
}
