import Avro
import DaybookIntake
import DaybookLog

/// The inputs that fuzzing begins with: small, honest, and of every kind.
public enum FuzzSeeds {
    /// The inputs of one target, each with a name.
    ///
    /// - Parameter golden: both segments of `eventlog/golden` and its head file.
    public static func make(
        _ target: FuzzTarget, golden: [[UInt8]]
    ) throws -> [(name: String, bytes: [UInt8])] {
        switch target {
        case .block: try BlockSeeds.make(golden: golden)
        case .frame: try BlockSeeds.make(golden: golden).filter { BlockTarget.isPiece($0.bytes) }
        case .json: texts(json, choices: [0x00, 0x01, 0x02, 0x03, 0x04, 0x80, 0x82, 0x83])
        case .csv: texts(csv, choices: [0x00, 0x10, 0x20, 0x02, 0x12, 0x22, 0x30, 0x03, 0x14])
        case .avro: try AvroSeeds.make()
        case .dictionary:
            texts([SampleTables.files.map(\.text).joined(separator: "\n%%\n")] + yaml, choices: [0])
                + texts(sql, choices: [2]) + texts(kept, choices: [3])
        }
    }

    private static func texts(
        _ texts: [String], choices: [UInt8]
    ) -> [(name: String, bytes: [UInt8])] {
        var seeds: [(String, [UInt8])] = []
        for (number, text) in texts.enumerated() {
            let choice = choices[number % choices.count]
            let bytes = [choice] + (choices.count > 1 ? [7] : []) + Array(text.utf8)
            seeds.append(("seed-\(choice)-\(number)", bytes))
        }
        return seeds
    }

    private static let json = [
        #"[{"id":1,"name":"Ada Lovelace","at":"2021-07-27T16:02:08Z","job":3}]"#,
        #"[{"id":1,"job":"clerk"},{"id":1000,"job":""},{"id":2,"job":"a","x":null}]"#,
        #"{"bank":"B","number":7,"reference":"6f1b2c9e-0d5a-4c3e-9b7a-2f4d8e6a1c05","#
            + #""amount":"12.30","booked":"2024-02-29","due":"2024-03-01","rate":2.5e0,"#
            + #""settled":true}"#,
        #"[{"sensor":"s","at":"1969-12-31T23:59:59.999999Z","total":"-1.5","zzz":[1,{"a":[]}]}]"#,
        #"[{"name":"a","on":"2020-01-01","worth":-0.0},{"name":"A","on":"x","worth":1e400}]"#,
        "{\"id\":1,\"name\":\"A B\",\"at\":\"2021-07-27T16:02:08Z\",\"job\":3}\n\n{\"id\":2}\n",
        "{\"bank\":\"\\u00e9\\uD83D\\uDE00\\n\",\"number\":-9223372036854775808}\r\n[1]\n{\n",
        #"{"sensor":"\u0000","place":"\ud800","at":1,"total":12345678901234567890}"# + "\n",
        #"[[],1,"a",null,true,{"id":{"a":1},"job":[2]},{"id":1,"id":2,"job":"x"}]"#,
        #"[{"id":1e2,"job":"ü"},{"i\u0064":4.0,"job":"\"\\\/\b\f\r\t"}] x"#,
    ]

    private static let csv = [
        "1,Ada Lovelace,2021-07-27T16:02:08Z,3\n2,\"Bob \"\"B\"\" Smith\",,4\n",
        "id,name,hired_at,job\r\n1,A B,2021-07-27T16:02:08+02:00,3\r\n\r\n",
        "3,2021-07-27T16:02:08Z,A B,1\n",
        "B,7,6f1b2c9e-0d5a-4c3e-9b7a-2f4d8e6a1c05,12.30,EUR,2024-02-29,2024-03-01,2.5,true\n",
        "bank,number,amount,booked\n\"B\n,\",8,0.01,2000-01-01\n,,,\n",
        "false,1.5,,2024-01-01,USD,5,,9,X\n",
        "\u{FEFF}1\n\n2\n\"3",
        "a,,1.0,\"\"\n,1970-01-01T00:00:00Z,,b\n\"x\"y,z\n",
        "name,on,worth\nabc,2020-02-30,1\nABC,2020-02-03,inf\n",
    ]

    private static let yaml = [
        "table: t\nkey: [a]\ncolumns:\n- {name: a, type: integer, min: -5, max: 5, default: 1}\n",
        "table: t\ndoc: \"x \\u0001 'y'\"\nkey: []\ncolumns:\n- name: a\n  type: string\n"
            + "  pattern: '[a-z]{2,3}'\n  doc: |\n    two\n    lines\n",
        "aggregate: n\nfrom: hires\ngroupBy:\n  y: year(at)\n  w: bucket(at, 15m)\nmeasures:\n"
            + "  n: count\n  m: max(id)\nwhere: {left: job, op: '>=', right: 2}\n"
            + "timeZone: Europe/Berlin\n%%\n" + SampleTables.files[0].text + "\n%%\n"
            + SampleTables.files[1].text,
        "table: &a t\nkey: [*a]\ncolumns:\n- &b {name: t, type: \"decimal(38,0)\", min: -1}\n"
            + "- {<<: *b, name: u, type: number, oneOf: [1, 2.5, -0.0]}\n",
        "table: t\nkey: [b]\nunique: [[a, b]]\nunknownFields: ignore\nrejectedRaw: digest\n"
            + "columns:\n- {name: a, type: uuid, default: 6f1b2c9e-0d5a-4c3e-9b7a-2f4d8e6a1c05}\n"
            + "- {name: b, type: date, default: 2024-02-29, alias: [x, 'y z']}\n"
            + "references:\n- {from: [a], table: t, columns: [a], onMissing: accept}\n",
        "? [1, 2]\n: - a\n  - {b: !!str c}\n--- x\n...\n",
    ]

    private static let sql = [
        "-- title: Hires\n-- doc: more\n-- param: year integer default 2021 the year\n"
            + "-- chart: bar x=q y=n\nSELECT :year, 'it''s :no', $$ :no $$, x::text FROM t\n",
        "-- title: T\n/* a /* b */ */ SELECT E'\\'' || \"a:b\", $tag$ ; $tag$, a := :b;\n",
        "-- title: T\n-- param: d date\nSELECT :d - 1, $1, '\n",
    ]

    private static let kept = [
        "---\ntable: a\nkey: [id]\ncolumns:\n- name: id\n  type: integer\n---\ntable: b\nkey: []\n"
            + "columns:\n- name: x\n  type: string\n  optional: true\n",
        "---\ntable: a\ndoc: 'it''s'\nkey: [id]\ncolumns:\n- name: id\n  type: decimal(10,2)\n"
            + "  min: '0.01'\n  oneOf: ['1.00', '2.00']\n",
    ]
}

/// Avro files of other programs.
private enum AvroSeeds {
    static func make() throws -> [(name: String, bytes: [UInt8])] {
        let hires =
            #"{"type":"record","name":"r","fields":[{"name":"id","type":"int"},"#
            + #"{"name":"name","type":"string"},{"name":"at","type":{"type":"long","#
            + #""logicalType":"timestamp-millis"}},{"name":"job","type":["null","long"]}]}"#
        let readings =
            #"{"type":"record","name":"r","fields":[{"name":"sensor","type":"#
            + #"{"type":"enum","name":"e","symbols":["A","B"]}},{"name":"at","type":["null","#
            + #"{"type":"long","logicalType":"timestamp-micros"},"string"]},{"name":"total","#
            + #""type":{"type":"fixed","name":"f","size":3,"logicalType":"decimal","#
            + #""precision":6,"scale":2}},{"name":"place","type":{"type":"array","items":"#
            + #"{"type":"map","values":["null","double"]}}},{"name":"x","type":"bytes"}]}"#
        let hire: [AvroValue] = (0..<7).map { number in
            .record([
                .int(number), .string("A B\(number)"), .long(1_600_000_000_000),
                number % 2 == 0 ? .union(0, .null) : .union(1, .long(3)),
            ])
        }
        let items = AvroValue.array([.map([.init("k", .union(1, .double(1.5)))])])
        let reading: [AvroValue] = [
            .record([
                .enumeration("A"), .union(1, .long(-1)), .fixed([0, 1, 2]), items, .bytes([7]),
            ]),
            .record([
                .enumeration("B"), .union(2, .string("2020-01-01T00:00:00Z")),
                .fixed([0xFF, 0, 1]), .array([]), .bytes([]),
            ]),
        ]
        var seeds: [(String, [UInt8])] = []
        for (number, codec) in [ContainerCodec.null, .deflate, .zstandard].enumerated() {
            seeds.append(("hires-\(number)", [0, 9] + (try file(hires, hire, codec))))
            seeds.append(("readings-\(number)", [3, 30] + (try file(readings, reading, codec))))
            seeds.append(("values-\(number)", [0x83, 0] + (try file(readings, reading, codec))))
        }
        return seeds
    }

    private static func file(
        _ json: String, _ rows: [AvroValue], _ codec: ContainerCodec
    ) throws -> [UInt8] {
        let header = ContainerHeader(
            schema: try AvroSchema(json: json), codec: codec,
            syncMarker: SyncMarker([UInt8](1...16)))
        var file: [UInt8] = []
        try withUnsafeMutablePointer(to: &file) { file in
            var writer = ContainerWriter(header: header, blockByteCount: 40) {
                file.pointee.append(contentsOf: $0)
            }
            for row in rows { try writer.append(row) }
            writer.finish()
        }
        return file
    }
}
