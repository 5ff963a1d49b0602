"""The peer of `daybook backup create`: one table by psycopg and fastavro, in order of its key.

  backup.py CONNINFO FILE

Prints how many rows it wrote.
"""
import sys

import fastavro
import psycopg

conninfo, path = sys.argv[1:3]
schema = fastavro.parse_schema({
    "type": "record", "name": "hired_employees", "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "datetime", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "department_id", "type": "long"},
        {"name": "job_id", "type": "long"},
        {"name": "ledger_position", "type": "long"},
    ]})
names = [field["name"] for field in schema["fields"]]
count = 0


def rows(cursor):
    global count
    for row in cursor:
        count += 1
        yield dict(zip(names, row))


with psycopg.connect(conninfo) as connection, open(path, "wb") as file:
    with connection.cursor(name="backup") as cursor:
        cursor.itersize = 20_000
        cursor.execute(f"SELECT {', '.join(names)} FROM hired_employees ORDER BY id")
        fastavro.writer(file, schema, rows(cursor), codec="null")
print(count)
