"""Corrects an export of rejected hires: one without a job gets the first.

  correct.py EXPORT CORRECTED

Prints how many rows it corrected.
"""
import csv
import sys

with open(sys.argv[1], newline="") as export:
    reader = csv.DictReader(export)
    rows = list(reader)
count = 0
for row in rows:
    if row["codes"] == "missing_field" and row["job_id"] == "":
        row["job_id"] = "1"
        count += 1
with open(sys.argv[2], "w", newline="") as corrected:
    writer = csv.DictWriter(corrected, reader.fieldnames)
    writer.writeheader()
    writer.writerows(rows)
print(f"{count} of {len(rows)}")
