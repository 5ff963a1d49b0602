"""What other Avro libraries make of our files, and files of theirs, for the tests to compare.

Values are printed in a text of their own, built from the Python values, so that every library's
understanding of a type (a UTC time, a decimal) is compared and not only its bytes.
"""

import datetime
import decimal
import json
import struct
import sys
import uuid
import warnings
from pathlib import Path

import avro.datafile
import avro.io
import avro.schema
import fastavro
import fastavro.schema

warnings.simplefilter("ignore")
UTC = datetime.timezone.utc
SCHEMA = Path(__file__).with_name("everything.avsc").read_text()


def micros(delta):
    return delta // datetime.timedelta(microseconds=1)


def show(value):
    if value is None:
        return "n"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return "dnan" if value != value else "d" + struct.pack(">d", value).hex()
    if isinstance(value, bytes):
        return "b" + value.hex()
    if isinstance(value, str):
        return "s" + value.encode().hex()
    if isinstance(value, decimal.Decimal):
        sign, digits, exponent = value.as_tuple()
        unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
        return f"D{unscaled}e{exponent}"
    if isinstance(value, uuid.UUID):
        return show(str(value))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return f"L{micros(value - datetime.datetime(1970, 1, 1))}"
        return f"T{micros(value - datetime.datetime(1970, 1, 1, tzinfo=UTC))}"
    if isinstance(value, datetime.date):
        return f"A{(value - datetime.date(1970, 1, 1)).days}"
    if isinstance(value, datetime.time):
        midnight = datetime.datetime(1970, 1, 1)
        return f"C{micros(datetime.datetime.combine(midnight, value) - midnight)}"
    if isinstance(value, dict):
        return "{" + ",".join(sorted(show(k) + ":" + show(v) for k, v in value.items())) + "}"
    return "[" + ",".join(show(item) for item in value) + "]"


def everything(**changes):
    record = {
        "nothing": None, "flag": True, "small": -1, "large": 2**40, "single": 1.5,
        "precise": -0.1, "raw": b"\x00\xff", "text": "Łódź 🚲", "colour": "GREEN",
        "hash": b"\x01\x02\x03\x04", "list": [0, -1, 63, 64, -65, 2**62], "lists": [["a"], []],
        "table": {"pi": 3.14159, "e": 2.71828}, "maybe": "yes", "choice": 7,
        "points": {"here": [{"x": 1, "y": None}, {"x": -2, "y": 3}]},
        "price": decimal.Decimal("-12345.67"), "weight": decimal.Decimal("123456789.012"),
        "id": uuid.UUID("0190163d-8694-739b-aea5-966c26f8ad90"),
        "day": datetime.date(2021, 11, 7), "clock_ms": datetime.time(2, 48, 42, 123000),
        "clock_us": datetime.time(23, 59, 59, 999999),
        "at_ms": datetime.datetime(2021, 11, 7, 2, 48, 42, 5000, tzinfo=UTC),
        "at_us": datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "local_ms": datetime.datetime(2021, 11, 7, 2, 48, 42, 5000),
        "local_us": datetime.datetime(2021, 11, 7, 2, 48, 42, 5),
        "span": struct.pack("<III", 1, 2, 3), "child": None,
    }
    record.update(changes)
    return record


def records(library):
    """Typical values, the ends of every range, each branch, and a record in itself."""
    tall = 2**63 - 1
    low = everything(
        flag=False, small=-(2**31), large=-(2**63), single=float("-inf"), precise=5e-324, raw=b"",
        text="", colour="RED", list=[], lists=[], table={}, maybe=None, choice=None, points={},
        price=decimal.Decimal("0.00"), weight=decimal.Decimal("-0.001"),
        day=datetime.date(1, 1, 1), clock_ms=datetime.time(), clock_us=datetime.time())
    high = everything(
        small=2**31 - 1, large=tall, single=float("inf"), precise=float("nan"), text="x" * 5000,
        list=list(range(-300, 300)), choice=-0.0, day=datetime.date(9999, 12, 31))
    choices = ["text", b"bytes", [1, None, -1], {"x": 5, "y": None}, 2.5]
    rows = [everything(), low, high] + [everything(choice=choice) for choice in choices]
    rows.append(everything(child=everything(child=everything(maybe=None))))
    if library == "avro":
        # To the official package local timestamps are plain longs, and it takes a UUID as text.
        for row in rows:
            while row:
                row.update(local_ms=1636253322005, local_us=-5, id=str(row["id"]))
                row = row["child"]
    return rows


def make(library, codec, path):
    rows = records(library)
    with open(path, "wb") as file:
        if library == "fastavro":
            fastavro.writer(file, json.loads(SCHEMA), rows, codec=codec, sync_interval=2000)
        else:
            schema = avro.schema.parse(SCHEMA)
            with avro.datafile.DataFileWriter(
                    file, avro.io.DatumWriter(), schema, codec=codec) as writer:
                for number, row in enumerate(rows):
                    writer.append(row)
                    if number % 3 == 2:
                        writer.sync()


def read(library, path):
    with open(path, "rb") as file:
        if library == "fastavro":
            return [show(value) for value in fastavro.reader(file)]
        with avro.datafile.DataFileReader(file, avro.io.DatumReader()) as reader:
            return [show(value) for value in reader]


def dump(library, *paths):
    """Prints a JSON array: for each file, what its values are to the library."""
    print(json.dumps([read(library, path) for path in paths]))


def resolve():
    """Reads each file as its reader's schema, and prints a JSON array: values, or null for no."""
    answers = []
    for case in json.load(sys.stdin):
        try:
            with open(case["file"], "rb") as file:
                answers.append([show(v) for v in fastavro.reader(file, case["reader"])])
        except fastavro.read.SchemaResolutionError:
            answers.append(None)
    print(json.dumps(answers))


def canonical():
    answers = []
    for schema in json.load(sys.stdin):
        form = fastavro.schema.to_parsing_canonical_form(schema)
        answers.append([form, fastavro.schema.fingerprint(form, "CRC-64-AVRO")])
    print(json.dumps(answers))


if __name__ == "__main__":
    {"make": make, "dump": dump, "resolve": resolve, "canonical": canonical}[sys.argv[1]](
        *sys.argv[2:])
