import DaybookCatalog
import Foundation
import Testing

/// One mistaken dictionary and every line that it must give.
struct MistakeCase: Sendable, CustomTestStringConvertible {
    let what: String
    let files: [String]
    let expected: [String]

    init(_ what: String, _ files: String..., expect expected: String...) {
        self.init(what: what, files: files, expected: expected)
    }

    /// A table `t` with the key `id` and one more column, whose text is `column`.
    static func column(_ what: String, _ column: String, expect expected: String...) -> Self {
        Self(
            what: what,
            files: ["table: t\nkey: id\ncolumns:\n- {name: id, type: integer}\n- \(column)"],
            expected: expected)
    }

    private init(what: String, files: [String], expected: [String]) {
        self.what = what
        self.files = files
        self.expected = expected
    }

    var testDescription: String { what }
}

@Suite("Mistakes in a dictionary")
struct DiagnosticTests {
    private func diagnostics(_ files: [String]) -> [String] {
        let named = files.enumerated().map { index, text in
            (name: ["a", "b", "c"][index] + ".yaml", text: text)
        }
        do {
            _ = try CatalogLoader.load(files: named)
            return []
        } catch {
            return error.description.split(separator: "\n").map(String.init)
        }
    }

    @Test("A mistake names its place, what is wrong and what would be right", arguments: all)
    func mistakes(mistake: MistakeCase) {
        #expect(diagnostics(mistake.files) == mistake.expected)
    }

    static let all = files + tables + columns + values + references + aggregates

    static let good = "table: g\nkey: id\ncolumns: [{name: id, type: integer}]"

    static let files: [MistakeCase] = [
        MistakeCase(
            "an empty file", "# only a comment\n",
            expect: "a.yaml:1:1: the file has no definition; "
                + "start it with `table: name` or `aggregate: name`"),
        MistakeCase(
            "no mapping", "- table: t",
            expect: "a.yaml:1:1: the definition is not a mapping; "
                + "start it with `table: name` or `aggregate: name`"),
        MistakeCase(
            "neither", "columns: []",
            expect: "a.yaml:1:1: the definition is neither a table nor an aggregate; "
                + "start it with `table: name` or `aggregate: name`"),
        MistakeCase(
            "both", "table: t\naggregate: t",
            expect: "a.yaml:1:1: the definition is a table and an aggregate; "
                + "write one definition a file"),
        MistakeCase(
            "two documents", "\(good)\n---\ntable: h",
            expect: "a.yaml:5:1: the file has a second document; write one definition a file"),
        MistakeCase(
            "no YAML", "table: t\nkey: [id\ncolumns: x",
            expect: "a.yaml:3:8: the YAML does not parse: did not find expected ',' or ']'; "
                + "mend it; text with quotes, `:`, `#` or a sign in front stands in quotes"),
        MistakeCase(
            "a key of YAML twice", "table: t\nkey: id\nkey: [id]",
            expect: "a.yaml:2:1: `key` stands twice; keep one of them"),
        MistakeCase(
            "a bomb of anchors",
            "table: t\nx: [\((1...9).map { "&a\($0) [*z, *z]" }.joined(separator: ", "))]",
            expect: "a.yaml:1:1: the file has 9 anchors and 18 aliases; use at most 4 and 32"),
        MistakeCase(
            "an alias as a key", "table: t\nkey: &a [id]\n*a : x",
            expect: "a.yaml:1:1: the table has no list of columns; "
                + "write `columns:` and below it a line `- {name: id, type: integer}` a column",
            "a.yaml:2:6: a key is not a single word; write `key: value`"),
    ]

    static let tables: [MistakeCase] = [
        MistakeCase(
            "a reserved name", good.replacingOccurrences(of: "table: g", with: "table: events"),
            expect: "a.yaml:1:8: a table may not be named `events`; "
                + "that path is the interface's own; choose another name"),
        MistakeCase(
            "a bad name", good.replacingOccurrences(of: "table: g", with: "table: 2nd-try"),
            expect: "a.yaml:1:8: `2nd-try` is no name; a name is a letter or `_`, "
                + "then letters, digits or `_`, at most 63 in all"),
        MistakeCase(
            "a long name",
            good.replacingOccurrences(
                of: "table: g", with: "table: \(String(repeating: "n", count: 64))"),
            expect: "a.yaml:1:8: `\(String(repeating: "n", count: 64))` is no name; "
                + "a name is a letter or `_`, then letters, digits or `_`, at most 63 in all"),
        MistakeCase(
            "the same name twice", good, good.replacingOccurrences(of: ": g", with: ": G"),
            expect: "b.yaml:1:8: the name `G` is taken by a.yaml:1; "
                + "names of tables and aggregates must differ, in more than case"),
        MistakeCase(
            "an unknown key", good + "\ncolums: []\nindex: id",
            expect: "a.yaml:4:1: a table has no `colums`; did you mean `columns`?",
            "a.yaml:5:1: a table has no `index`; its keys are "
                + "table, doc, key, columns, unique, unknownFields, rejectedRaw, check, references"
        ),
        MistakeCase(
            "no key", "table: t\ncolumns: [{name: id, type: integer}]",
            expect: "a.yaml:1:1: the table has no `key`; "
                + "write `key: [column]`, or `key: []` if rows are only ever added"),
        MistakeCase(
            "a key that is not there",
            "table: t\nkey: [ids, id, id]\n"
                + "columns: [{name: id, type: integer}]",
            expect: "a.yaml:2:7: table `t` has no column `ids`; did you mean `id`?",
            "a.yaml:2:16: `id` stands twice in `key`; keep one of them"),
        MistakeCase(
            "an optional key",
            "table: t\nkey: id\n"
                + "columns: [{name: id, type: integer, optional: true}]",
            expect: "a.yaml:2:6: the key's column `id` is optional; "
                + "a key needs a value in every row: take `optional` away"),
        MistakeCase(
            "unique as the key", good + "\nunique: [[id]]",
            expect: "a.yaml:4:11: these columns are a key or unique already; remove the line"),
        MistakeCase(
            "a key too wide",
            "table: t\nkey: [a, b]\ncolumns:\n"
                + "- {name: a, type: string, maxLength: 500}\n"
                + "- {name: b, type: string, maxLength: 13}",
            expect: "a.yaml:4:10: the strings of a key or unique set may be longer than "
                + "Postgres can index; give them a `maxLength` of at most 512 in all"),
        MistakeCase(
            "unknownFields", good + "\nunknownFields: drop",
            expect: "a.yaml:4:16: `unknownFields` cannot be `drop`; write `reject`, `ignore`"),
        MistakeCase(
            "rejectedRaw", good + "\nrejectedRaw: none",
            expect: "a.yaml:4:14: `rejectedRaw` cannot be `none`; write `full`, `digest`"),
        MistakeCase(
            "checks",
            "table: t\nkey: a\ncheck:\n- {left: a, op: <, right: b}\n"
                + "- {left: a, op: '==', right: a}\n- {left: c, op: '>', right: d}\n"
                + "- {left: a, op: '=', right: a}\n- {left: a, right: x}\n"
                + "- {left: a, op: '!=', right: x}\n"
                + "columns: [{name: a, type: integer}, {name: b, type: date}, "
                + "{name: c, type: uuid}, {name: d, type: uuid}]",
            expect: "a.yaml:4:27: `a` is integer and `b` is date; compare columns of one type",
            "a.yaml:5:17: `op` cannot be `==`; write `<`, `<=`, `=`, `!=`, `>=`, `>`",
            "a.yaml:6:10: values of type uuid have no order; compare by = or !=",
            "a.yaml:7:29: the check compares `a` with itself; name two columns",
            "a.yaml:8:3: a check has no `op`; write `{left: a, op: '<', right: b}`",
            "a.yaml:9:30: table `t` has no column `x`; its columns are a, b, c, d"),
        MistakeCase(
            "a sign that YAML takes for its own",
            "table: t\nkey: a\n"
                + "check: {left: a, op: !=, right: b}\n"
                + "columns: [{name: a, type: integer}, {name: b, type: integer}]",
            expect: "a.yaml:3:22: `op` has no value; "
                + "write one, in quotes if it starts with a sign"),
        MistakeCase(
            "another such sign",
            "table: t\nkey: a\n"
                + "check: {left: a, op: >=, right: b}\n"
                + "columns: [{name: a, type: integer}, {name: b, type: integer}]",
            expect:
                "a.yaml:3:22: the YAML does not parse: "
                + "found character that cannot start any token; "
                + "mend it; text with quotes, `:`, `#` or a sign in front stands in quotes"),
        MistakeCase(
            "columns as a mapping", "table: t\nkey: a\ncolumns: {a: integer}",
            expect: "a.yaml:3:1: the table has no list of columns; "
                + "write `columns:` and below it a line `- {name: id, type: integer}` a column"),
        MistakeCase(
            "a column that is no mapping", "table: t\nkey: a\ncolumns: [a]",
            expect: "a.yaml:3:11: a column is not a mapping; write it as `key: value` pairs"),
        MistakeCase(
            "lists where one value belongs", "table: [t]\nkey: {a: b}\ncolumns: []",
            expect: "a.yaml:1:8: `table` is not a single value; write one value"),
    ]

    static let columns: [MistakeCase] = [
        .column(
            "no name", "{type: integer}",
            expect: "a.yaml:5:3: a column has no `name`; write `name:` and its name"),
        .column(
            "no type", "{name: a}",
            expect: "a.yaml:5:3: column `a` has no `type`; the types are integer, number, "
                + "decimal(p,s), boolean, string, date, timestamp, uuid"),
        .column(
            "a type of another system", "{name: a, type: int}",
            expect: "a.yaml:5:19: `int` is no type; did you mean `integer`?"),
        .column(
            "a type misspelt", "{name: a, type: timestmp}",
            expect: "a.yaml:5:19: `timestmp` is no type; did you mean `timestamp`?"),
        .column(
            "a decimal without digits", "{name: a, type: decimal}",
            expect: "a.yaml:5:19: `decimal` does not say its digits; "
                + "write `decimal(p,s)`: p digits in all, s of them after the point"),
        .column(
            "a decimal too wide", "{name: a, type: 'decimal(39,2)'}",
            expect: "a.yaml:5:19: `decimal(39,2)` has digits that cannot be; "
                + "p is from 1 to 38, s from 0 to p"),
        .column(
            "more places than digits", "{name: a, type: 'decimal(3,4)'}",
            expect: "a.yaml:5:19: `decimal(3,4)` has digits that cannot be; "
                + "p is from 1 to 38, s from 0 to p"),
        .column(
            "the same column", "{name: ID, type: integer}",
            expect: "a.yaml:5:10: a column named `ID` stands at line 4 already; "
                + "names and aliases of a table's columns must differ"),
        .column(
            "an alias that is a column", "{name: a, type: integer, alias: [id]}",
            expect: "a.yaml:5:28: a column named `id` stands at line 4 already; "
                + "names and aliases of a table's columns must differ"),
        .column(
            "Postgres's own column", "{name: xmin, type: integer}",
            expect: "a.yaml:5:10: a column may not be named `xmin`; "
                + "every table in Postgres has one of that name; choose another"),
        .column(
            "the ledger's column", "{name: ledger_position, type: integer}",
            expect: "a.yaml:5:10: a column may not be named `ledger_position`; "
                + "every table in Postgres has one of that name; choose another"),
        .column(
            "an unknown rule", "{name: a, type: string, maxlength: 3}",
            expect: "a.yaml:5:27: a column has no `maxlength`; did you mean `maxLength`?"),
        .column(
            "a truth value of YAML 1.1", "{name: a, type: string, optional: yes}",
            expect: "a.yaml:5:37: `yes` is no truth value; write true or false"),
    ]

    static let values: [MistakeCase] = [
        .column(
            "a rule of another type", "{name: a, type: boolean, min: 1, maxLength: 2, pattern: x}",
            expect: "a.yaml:5:28: `min` says nothing about a column of type boolean; "
                + "remove it, or change the type",
            "a.yaml:5:36: `maxLength` says nothing about a column of type boolean; "
                + "remove it, or change the type",
            "a.yaml:5:50: `pattern` says nothing about a column of type boolean; "
                + "remove it, or change the type"),
        .column(
            "a length that is none", "{name: a, type: string, maxLength: 0}",
            expect: "a.yaml:5:38: `maxLength` is not a whole number above 0; "
                + "write one such as 255"),
        .column(
            "bounds exchanged", "{name: a, type: date, min: 2024-01-02, max: 2024-01-01}",
            expect: "a.yaml:5:30: `min` is above `max`; exchange them"),
        .column(
            "a bound of another type", "{name: a, type: integer, max: 1.5}",
            expect: "a.yaml:5:33: `1.5` is no integer; "
                + "write a whole number of at most 64 bits, such as 12"),
        .column(
            "a pattern", "{name: a, type: string, pattern: '(x'}",
            expect: "a.yaml:5:36: the pattern does not compile: missing ): (x; "
                + "write it in RE2's syntax"),
        .column(
            "defaults that break rules",
            "{name: a, type: string, maxLength: 2, default: abc}\n"
                + "- {name: b, type: integer, min: 1, default: 0}\n"
                + "- {name: c, type: string, pattern: '[a-z]', default: A}\n"
                + "- {name: d, type: integer, oneOf: [1, 2], default: 3}\n"
                + "- {name: e, type: 'decimal(4,2)', max: 1, default: 1.01}",
            expect: "a.yaml:5:50: the default `abc` breaks the column's own `maxLength`; "
                + "mend one of the two",
            "a.yaml:6:45: the default `0` breaks the column's own `min`; mend one of the two",
            "a.yaml:7:54: the default `A` breaks the column's own `pattern`; mend one of the two",
            "a.yaml:8:52: the default `3` breaks the column's own `oneOf`; mend one of the two",
            "a.yaml:9:52: the default `1.01` breaks the column's own `max`; mend one of the two"),
        .column(
            "an enumeration", "{name: a, type: integer, max: 2, oneOf: [1, 1, x, 3]}",
            expect: "a.yaml:5:47: `1` stands twice; keep one of them",
            "a.yaml:5:50: `x` is no integer; write a whole number of at most 64 bits, such as 12",
            "a.yaml:5:53: `3` breaks the column's own `max`; mend one of the two"),
        .column(
            "an empty enumeration", "{name: a, type: integer, oneOf: []}",
            expect: "a.yaml:5:28: `oneOf` allows no value; write at least one"),
        .column(
            "a default forgotten", "{name: a, type: string, default: }",
            expect: "a.yaml:5:36: `default` has no value; "
                + "write one, in quotes if it starts with a sign"),
        .column(
            "a zero byte", "{name: a, type: string, default: \"x\\0\"}",
            expect: "a.yaml:5:36: `default` holds a zero byte; "
                + "remove it: Postgres has no text with one"),
    ]

    static let references: [MistakeCase] = [
        .column(
            "a table that is not there", "{name: a, type: integer, references: tt}",
            expect: "a.yaml:5:40: there is no table `tt`; did you mean `t`?"),
        MistakeCase(
            "another type", good,
            "table: t\nkey: []\ncolumns: [{name: a, type: string, references: g}]",
            expect: "b.yaml:3:47: `a` is string, but `g.id` is integer; give both one type"),
        MistakeCase(
            "columns that are no key", good,
            "table: t\nkey: a\ncolumns:\n- {name: a, type: integer, "
                + "references: {table: g, columns: [x]}}",
            expect: "b.yaml:4:61: x is neither the key of `g` nor unique there; refer to [id]"),
        MistakeCase(
            "a table without a key", "table: g\nkey: []\ncolumns: [{name: id, type: integer}]",
            "table: t\nkey: []\ncolumns: [{name: a, type: integer, references: g}]",
            expect: "b.yaml:3:48: table `g` has no key; "
                + "name columns that are unique there: `{table: g, columns: […]}`"),
        MistakeCase(
            "fewer columns",
            "table: g\nkey: [a, b]\n"
                + "columns: [{name: a, type: integer}, {name: b, type: integer}]",
            "table: t\nkey: []\ncolumns: [{name: a, type: integer, references: g}]",
            expect: "b.yaml:3:48: 1 column refers to 2 columns (a, b); "
                + "name as many under the table's `references: {from: […], table: …}`"),
        MistakeCase(
            "an aggregate", good, "aggregate: x\nfrom: g\ngroupBy: {id: id}\nmeasures: {n: count}",
            "table: t\nkey: []\ncolumns: [{name: a, type: integer, references: x}]",
            expect: "c.yaml:3:48: `x` is an aggregate; refer to a table"),
        MistakeCase(
            "a file that does not parse is not told again by its readers", "table: [",
            "table: t\nkey: []\ncolumns: [{name: a, type: integer, references: g}]",
            expect: "a.yaml:2:1: the YAML does not parse: did not find expected node content; "
                + "mend it; text with quotes, `:`, `#` or a sign in front stands in quotes"),
        MistakeCase(
            "a type that is wrong is not told again where it is referred to",
            "table: g\nkey: id\ncolumns: [{name: id, type: int}]",
            "table: t\nkey: []\ncolumns: [{name: a, type: string, references: g}]",
            "aggregate: x\nfrom: g\ngroupBy: {id: id}\nmeasures: {n: sum(id)}",
            expect: "a.yaml:3:28: `int` is no type; did you mean `integer`?"),
    ]

    static let aggregates: [MistakeCase] = [
        MistakeCase(
            "nothing in it", "aggregate: x", good,
            expect: "a.yaml:1:1: the aggregate does not say from which table; "
                + "write `from:` and a table's name"),
        MistakeCase(
            "no group and no measure", "aggregate: x\nfrom: gg\nmeasures: {}", good,
            expect: "a.yaml:1:1: the aggregate has no `groupBy`; "
                + "write `groupBy: {year: year(datetime)}`",
            "a.yaml:2:7: there is no table `gg`; did you mean `g`?",
            "a.yaml:3:1: the aggregate has no `measures`; write `measures: {rows: count}`"),
        MistakeCase(
            "functions and columns",
            "aggregate: x\nfrom: g\ngroupBy:\n  a: year(id)\n  b: week(id)\n  c: idd\n"
                + "  d: bucket(id)\n  e: bucket(id, 1.5h)\n  f: id\n"
                + "measures:\n  f: count\n  n: count(id)\n  s: sum(x)\n  t: sum(at)\n  u: min(at)\n"
                + "where: {left: id, op: '>', right: many}\ntimeZone: GMT+3",
            "table: g\nkey: id\ncolumns: [{name: id, type: integer}, {name: at, type: timestamp}]",
            expect: "a.yaml:4:6: `year` of a column of type integer; "
                + "it takes a timestamp or a date",
            "a.yaml:5:6: `week(id)` is no group; write a column, year, quarter, month, day, "
                + "date, hour, minute of a column, or `bucket(column, 15m)`",
            "a.yaml:6:6: table `g` has no column `idd`; did you mean `id`?",
            "a.yaml:7:6: `bucket(id)` is no group; write a column, year, quarter, month, day, "
                + "date, hour, minute of a column, or `bucket(column, 15m)`",
            "a.yaml:8:6: `bucket(id, 1.5h)` is no group; write a column, year, quarter, month, "
                + "day, date, hour, minute of a column, or `bucket(column, 15m)`",
            "a.yaml:11:3: `f` stands twice in the aggregate; "
                + "groups and measures need names of their own",
            "a.yaml:12:6: `count(id)` is no measure; "
                + "write count, or sum, min, max or avg of a column such as `sum(amount)`",
            "a.yaml:13:6: table `g` has no column `x`; its columns are id, at",
            "a.yaml:14:6: `sum` of a column of type timestamp; "
                + "it takes integer, number or decimal",
            "a.yaml:16:35: `many` is no integer; "
                + "write a whole number of at most 64 bits, such as 12",
            "a.yaml:17:11: `GMT+3` is no time zone; write UTC or an IANA name such as Europe/Paris"
        ),
    ]

    @Test("Ten thousand brackets and a bomb behind them are refused, not followed")
    func depth() {
        for open in ["[", "{a: ", "- "] {
            let lines = diagnostics(["table: t\nx: \n  \(String(repeating: open, count: 10_000))"])
            #expect(lines.count == 1)
            #expect(lines.first?.contains("the YAML does not parse") == true)
        }
        let large = diagnostics(["table: t\n# \(String(repeating: "x", count: 1 << 20))"])
        #expect(
            large == [
                "a.yaml:1:1: the file is larger than 1048576 bytes; "
                    + "a definition needs a few kilobytes"
            ])
    }

    @Test("Tables may refer to each other in a circle, and to themselves")
    func circles() throws {
        let catalog = try CatalogLoader.load(files: [
            ("a", "table: a\nkey: id\ncolumns: [{name: id, type: integer, references: b}]"),
            (
                "b",
                "table: b\nkey: id\ncolumns: [{name: id, type: integer, references: a}, "
                    + "{name: parent, type: integer, optional: true, references: b}]"
            ),
        ])
        #expect(catalog.tables.map { $0.slots.map(\.constraint) } == [[0, 1], [1, 0, 1]])
    }
}
