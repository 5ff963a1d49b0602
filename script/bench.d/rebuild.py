"""Appends and reads without pause while a table is rebuilt, and says what both met.

  rebuild.py PORT KEY CONNINFO SECONDS ROWS

Eight connections append batches of 100 jobs, four read: a row by its key, and whether the table has
rows at all. Ends when a line comes on standard input, or after SECONDS. Prints one JSON object.
"""
import concurrent.futures
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

port, key, conninfo, seconds, rows = sys.argv[1:6]
deadline = time.monotonic() + float(seconds)
ending = threading.Event()


def is_over():
    return ending.is_set() or time.monotonic() > deadline


def append(worker):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    accepted, slowest, number = 0, 0.0, 1_000_000 * (worker + 1)
    while not is_over():
        batch = [{"id": number + i, "job": f"Clerk {number + i}"} for i in range(100)]
        number += 100
        start = time.monotonic()
        connection.request(
            "POST", "/v1/jobs?return=minimal", json.dumps(batch),
            {"x-api-key": key, "content-type": "application/json"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200 or body["accepted"] != 100:
            raise SystemExit(f"an append was answered {answer.status}: {body}")
        slowest = max(slowest, time.monotonic() - start)
        accepted += 100
        time.sleep(0.02)
    return accepted, slowest


def read(folder):
    # A table without rows would divide by zero, which pgbench counts as a failure and ends.
    script = os.path.join(folder, "read.sql")
    with open(script, "w") as file:
        file.write(
            f"\\set id random(1, {rows})\n"
            "SELECT name FROM hired_employees WHERE id = :id;\n"
            "SELECT 1 / count(*) FROM (SELECT FROM hired_employees LIMIT 1) AS t;\n")
    return subprocess.Popen(
        ["pgbench", "-n", "-c", "4", "-j", "1", "-T", str(int(float(seconds))), "-f", script,
         "--log", "--log-prefix", os.path.join(folder, "log"), conninfo],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


with tempfile.TemporaryDirectory() as folder:
    reading = read(folder)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        appending = [pool.submit(append, worker) for worker in range(8)]
        threading.Thread(target=lambda: (sys.stdin.readline(), ending.set()), daemon=True).start()
        while not is_over() and reading.poll() is None:
            time.sleep(0.05)
        failed = reading.poll() is not None and not is_over()
        ending.set()
        appended = [future.result() for future in appending]
    reading.terminate()
    _, errors = reading.communicate()
    slowest, reads = 0, 0
    for name in os.listdir(folder):
        if name.startswith("log"):
            with open(os.path.join(folder, name)) as file:
                for line in file:
                    fields = line.split()
                    if len(fields) >= 6:
                        slowest, reads = max(slowest, int(fields[2])), reads + 1
    print(json.dumps({
        "appended": sum(count for count, _ in appended),
        "slowest_append_ms": round(max(slow for _, slow in appended) * 1000),
        "reads": reads, "slowest_read_ms": slowest / 1000,
        "failed_reads": (errors if failed else ""),
    }))
