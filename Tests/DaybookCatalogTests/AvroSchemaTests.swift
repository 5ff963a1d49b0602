import DaybookCatalog
import Foundation
import TestSupport
import Testing

@Suite("The Avro schema of a row")
struct AvroSchemaTests {
    @Test("The shipped tables have the schemas that this line shows")
    func shipped() throws {
        let departments = try #require(Fixtures.shipped().table(named: "departments"))
        #expect(
            departments.avroSchema == """
                {"type":"record","name":"departments","namespace":"daybook.rows",\
                "doc":"Departments of the company","fields":[\
                {"name":"id","doc":"Id of the department","type":"long"},\
                {"name":"department","doc":"Name of the department","type":"string"}]}
                """)
    }

    @Test("Stock fastavro accepts every schema, and reads old rows with the dictionary's defaults")
    func fastavro() throws {
        let script = """
            import sys, io, json, fastavro
            from datetime import date, timedelta
            from decimal import Decimal
            from fastavro import schemaless_writer, schemaless_reader
            schemas = json.load(sys.stdin)
            parsed = {s["name"]: fastavro.parse_schema(s) for s in schemas}
            new = parsed["payments"]
            kept = ("batch", "line", "payer", "amount", "country")
            source = next(s for s in schemas if s["name"] == "payments")
            old = fastavro.parse_schema(
                dict(source, fields=[f for f in source["fields"] if f["name"] in kept]))
            buffer = io.BytesIO()
            schemaless_writer(buffer, old, {
                "batch": "a", "line": 1, "payer": "p", "amount": Decimal("12.30"),
                "country": "NO"})
            buffer.seek(0)
            row = schemaless_reader(buffer, old, new)
            # fastavro gives a default as the schema has it, below the logical type.
            fee = int.from_bytes(row["fee"].encode("latin-1"), "big", signed=True)
            row["fee"] = Decimal(fee).scaleb(-2)
            row["due"] = str(date(1970, 1, 1) + timedelta(row["due"]))
            for name in [f["name"] for f in source["fields"]]:
                print(name, repr(row[name]))
            """
        let schemas = try Fixtures.otherTrade().tables.map(\.avroSchema)
        let result = try runTool(
            pythonPath, ["-c", script],
            input: Data("[\(schemas.joined(separator: ","))]".utf8))
        #expect(result.errorText == "")
        #expect(
            result.text == """
                batch 'a'
                line 1
                payer 'p'
                payee None
                amount Decimal('12.30')
                fee Decimal('-0.50')
                country 'NO'
                due '2024-02-29'
                booked None
                rate 1e-07
                urgent False

                """)
    }

    @Test("The official Avro package accepts every schema, and its logical types are known to it")
    func officialPackage() throws {
        let script = """
            import sys, json, warnings, avro.schema
            warnings.simplefilter("error")
            for s in json.load(sys.stdin):
                for field in avro.schema.parse(json.dumps(s)).fields:
                    types = getattr(field.type, "schemas", [field.type])
                    print(s["name"], field.name, type(types[-1]).__name__)
            """
        let schemas = try (Fixtures.otherTrade().tables + Fixtures.shipped().tables)
            .map(\.avroSchema)
        let result = try runTool(
            pythonPath, ["-c", script],
            input: Data("[\(schemas.joined(separator: ","))]".utf8))
        #expect(result.errorText == "")
        let lines = result.text.split(separator: "\n")
        #expect(lines.contains("payments amount BytesDecimalSchema"))
        #expect(lines.contains("payments booked DateSchema"))
        #expect(lines.contains("readings at TimestampMicrosSchema"))
        #expect(lines.contains("accounts ref UUIDSchema"))
        #expect(lines.contains("hired_employees id PrimitiveSchema"))
    }
}
