"""Compares a table's file in a backup with what psql has of the table, row by row and in order.

    avro_rows.py fastavro|avro FILE.avro ROWS.csv

ROWS.csv is psql's COPY with a header, nulls as \\N. Prints how many rows there are; ends with 1 and
the first rows that differ if they do.
"""

import csv
import datetime
import decimal
import sys

import avro.datafile
import avro.io
import fastavro


def rows(library, path):
    with open(path, "rb") as file:
        if library == "fastavro":
            yield from fastavro.reader(file)
        else:
            yield from avro.datafile.DataFileReader(file, avro.io.DatumReader())


def parsed(text, value):
    """The text as a value of the kind that the library gave."""
    if text == "\\N":
        return None
    if isinstance(value, bool):
        return {"t": True, "f": False}[text]
    if isinstance(value, datetime.datetime):
        return datetime.datetime.fromisoformat(text)
    if isinstance(value, datetime.date):
        return datetime.date.fromisoformat(text)
    if isinstance(value, (int, float, decimal.Decimal)):
        return type(value)(text)
    return text


def main(library, path, expected_path):
    with open(expected_path, newline="", encoding="utf-8") as file:
        expected = list(csv.DictReader(file))
    found = list(rows(library, path))
    wrong = [] if len(found) == len(expected) else [(len(found), len(expected))]
    for row, texts in zip(found, expected):
        if list(row) != list(texts):
            wrong.append((list(row), list(texts)))
        for name, value in row.items():
            plain = str(value) if type(value).__name__ == "UUID" else value
            if parsed(texts[name], plain) != plain:
                wrong.append((name, value, texts[name]))
    if wrong:
        sys.exit(f"{library}: {wrong[:5]}")
    print(len(found))


main(*sys.argv[1:])
