import Avro
import TestSupport

/// Makes valid schemas, and values of them.
struct RandomSchema {
    private var random: SeededGenerator
    private var nameCount = 0
    private var named: [AvroSchema] = []

    init(_ random: SeededGenerator) {
        self.random = random
    }

    private mutating func below(_ bound: Int) -> Int {
        Int.random(in: 0..<bound, using: &random)
    }

    mutating func schema(depth: Int) -> AvroSchema {
        if depth <= 0 || below(4) == 0 { return primitive() }
        switch below(7) {
        case 0: return .array(schema(depth: depth - 1))
        case 1: return .map(schema(depth: depth - 1))
        case 2: return enumeration()
        case 3: return fixed()
        case 4: return union(depth: depth)
        case 5 where !named.isEmpty:
            guard let name = named[below(named.count)].typeName else { return .null }
            return .reference(name)
        default: return record(depth: depth)
        }
    }

    private mutating func primitive() -> AvroSchema {
        let all: [AvroSchema] = [
            .null, .boolean, .int(), .long(), .float, .double, .bytes(), .string(), .int(.date),
            .int(.timeMillis), .long(.timeMicros), .string(.uuid),
            .bytes(.decimal(precision: 12, scale: 3)),
        ]
        return all[below(all.count)]
    }

    /// Always in a namespace: from inside one, a name without cannot be told apart in JSON.
    private mutating func name() -> String {
        nameCount += 1
        return ["m.", "a.", "a.b.", "z_9."][below(4)] + "N\(nameCount)"
    }

    private mutating func enumeration() -> AvroSchema {
        let symbols = (0...below(5)).map { "S\($0)" }
        let made = AvroSchema.enumeration(
            .init(name(), symbols: symbols, defaultSymbol: below(2) == 0 ? symbols[0] : nil))
        named.append(made)
        return made
    }

    private mutating func fixed() -> AvroSchema {
        let made = AvroSchema.fixed(.init(name(), byteCount: 1 + below(20)))
        named.append(made)
        return made
    }

    private mutating func record(depth: Int) -> AvroSchema {
        let name = name()
        let fields = (0..<below(6)).map { number in
            AvroSchema.Field("f\(number)", schema(depth: depth - 1), doc: "field \(number)")
        }
        let made = AvroSchema.record(.init(name, fields: fields))
        named.append(made)
        return made
    }

    private mutating func union(depth: Int) -> AvroSchema {
        var branches: [AvroSchema] = []
        var seen: Set<String> = []
        for _ in 0...below(4) {
            let before = named
            let branch = schema(depth: depth - 1)
            if branch.kind != "union",
                seen.insert(branch.typeName?.fullName ?? branch.kind).inserted
            {
                branches.append(branch)
            } else {
                // What the dropped branch defined is not defined.
                named = before
            }
        }
        return .union(branches.isEmpty ? [.null] : branches)
    }

    mutating func value(
        of schema: AvroSchema, _ definitions: [AvroName: AvroSchema]
    ) -> AvroValue {
        switch schema {
        case .null: return .null
        case .boolean: return .boolean(below(2) == 0)
        case .int(.date): return .int(Int32(below(2_000_000)) - 700_000)
        case .int(.timeMillis): return .int(Int32(below(86_400_000)))
        case .int: return .int(Int32(truncatingIfNeeded: integer()))
        case .long(.timeMicros): return .long(Int64(below(86_400_000_000)))
        case .long: return .long(integer())
        case .float: return .float(Float(below(1000)) / 8 - 60)
        case .double: return .double(Double(integer()) / 1024)
        case .bytes(.decimal): return .bytes((0...below(4)).map { _ in UInt8(below(256)) })
        case .bytes: return .bytes((0..<below(20)).map { _ in UInt8(below(256)) })
        case .string(.uuid): return .string("0190163d-8694-739b-aea5-966c26f8ad9\(below(10))")
        case .string: return .string(text())
        case .fixed(let fixed):
            return .fixed((0..<fixed.byteCount).map { _ in UInt8(below(256)) })
        case .enumeration(let enumeration):
            return .enumeration(enumeration.symbols[below(enumeration.symbols.count)])
        case .array(let item):
            return .array((0..<below(4)).map { _ in value(of: item, definitions) })
        case .map(let item):
            return .map((0..<below(4)).map { .init("k\($0)", value(of: item, definitions)) })
        case .record(let record):
            return .record(record.fields.map { value(of: $0.schema, definitions) })
        case .union(let branches):
            let branch = below(branches.count)
            return .union(branch, value(of: branches[branch], definitions))
        case .reference(let name):
            return definitions[name].map { value(of: $0, definitions) } ?? .null
        }
    }

    /// Small, large and extreme numbers alike.
    private mutating func integer() -> Int64 {
        Int64(bitPattern: random.next()) >> Int64(below(64))
    }

    private mutating func text() -> String {
        let scalars: [Character] = ["a", "Z", " ", "\"", "\\", "\n", "é", "ß", "漢", "🚲", "\u{0}"]
        return String((0..<below(12)).map { _ in scalars[below(scalars.count)] })
    }
}
