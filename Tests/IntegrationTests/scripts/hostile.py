"""Attacks a running server in every way that is cheap to try, while an honest client appends.

    hostile.py --port 8080 --pid 4711 --key KEY [--slow 1000] [--big 1073741824]

Prints one JSON object: a result for every attack, what the honest client saw, and the server's
memory. Exits 0 if all went as it must, 1 otherwise. Needs nothing but Python.
"""

import argparse
import asyncio
import json
import resource
import ssl  # noqa: F401  (so that a missing module is found before the attacks begin)
import sys
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, required=True)
arguments.add_argument("--pid", type=int, required=True)
arguments.add_argument("--key", required=True)
arguments.add_argument("--slow", type=int, default=1000)
arguments.add_argument("--big", type=int, default=1 << 30)
options = arguments.parse_args()

HOST = "127.0.0.1"
KEY = f"x-api-key: {options.key}\r\n"
results = []


def note(name, good, **facts):
    results.append({"name": name, "good": bool(good), **facts})


def kilobytes(name):
    with open(f"/proc/{options.pid}/status") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


def reset_peak():
    with open(f"/proc/{options.pid}/clear_refs", "w") as file:
        file.write("5")


async def connect():
    return await asyncio.open_connection(HOST, options.port)


async def read_head(reader, seconds=15):
    """The status and body of one answer; 0 if the connection ends without one."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), seconds)
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0, {}, b""
    except asyncio.TimeoutError:
        return -1, {}, b""
    lines = head.decode("latin-1").split("\r\n")
    fields = dict(
        (name.lower(), value.strip())
        for name, _, value in (line.partition(":") for line in lines[1:] if line))
    status = int(lines[0].split(" ")[1])
    if status == 100:
        return await read_head(reader, seconds)
    body = b""
    try:
        if "content-length" in fields:
            body = await asyncio.wait_for(
                reader.readexactly(int(fields["content-length"])), seconds)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.TimeoutError):
        pass
    return status, fields, body


async def exchange(raw, seconds=15, shut=False):
    """Sends bytes as they are; the first answer."""
    reader, writer = await connect()
    try:
        writer.write(raw)
        if shut:
            writer.write_eof()
        return await read_head(reader, seconds)
    except ConnectionError:
        return 0, {}, b""
    finally:
        writer.close()


def request(method, path, body=b"", fields="", key=True):
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\n{KEY if key else ''}{fields}"
    if body or method in ("POST", "PUT"):
        head += f"Content-Length: {len(body)}\r\n"
    return (head + "\r\n").encode("latin-1") + body


async def status_of(method, path, body=b"", fields="", key=True):
    status, _, text = await exchange(request(method, path, body, fields, key))
    return status, text


# An honest client: appends a row at a time, each with a key, and counts.


class Honest:
    def __init__(self):
        self.count, self.failures, self.slowest, self.next = 0, [], 0.0, 1
        self.is_done = False

    async def run(self):
        reader, writer = await connect()
        while not self.is_done:
            row = json.dumps([{"id": self.next, "job": "Honest"}]).encode()
            start = time.monotonic()
            try:
                writer.write(
                    request("POST", "/v1/jobs", row, f"Idempotency-Key: honest-{self.next}\r\n"))
                status, fields, text = await read_head(reader, 30)
            except ConnectionError:
                status, text, fields = 0, b"", {}
            self.slowest = max(self.slowest, time.monotonic() - start)
            if status == 200:
                self.count += 1
                self.next += 1
            else:
                self.failures.append([status, text.decode("utf-8", "replace")[:200]])
            if status in (0, -1) or fields.get("connection") == "close":
                writer.close()
                reader, writer = await connect()
            await asyncio.sleep(0.01)
        writer.close()


# Bodies.


async def big_body(chunked):
    """Sends a body far over the limit for as long as the server takes it."""
    reader, writer = await connect()
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: a\r\n{KEY}Content-Type: application/json\r\n"
    head += "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {options.big}\r\n"
    writer.write((head + "\r\n").encode())
    answer = asyncio.create_task(read_head(reader, 60))
    piece, sent = b" " * 65536, 0
    try:
        while sent < options.big and not answer.done():
            writer.write(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
            await writer.drain()
            sent += len(piece)
    except ConnectionError:
        pass
    status, _, _ = await answer
    writer.close()
    kind = "chunked" if chunked else "announced"
    note(f"a body of {options.big} bytes, {kind}", status == 413, status=status, sent=sent)


async def bodies():
    cases = [
        ("10^6 nested arrays", b"[" * 1_000_000 + b"]" * 1_000_000, [400], "malformed_batch"),
        ("8 MiB of open arrays", b"[" * (8 << 20), [400], "malformed_batch"),
        ("nested objects", b'[{"id":' + b'{"a":' * 100_000, [400], "malformed_batch"),
        ("invalid UTF-8 in a value", b'[{"id":900001,"job":"\xff\xfe"}]', [400], None),
        ("invalid UTF-8 in a name", b'[{"\xc0\xaf":1,"id":900002}]', [400], None),
        ("overlong UTF-8", b'[{"id":900003,"job":"\xc0\x80"}]', [400], None),
        ("UTF-16", '[{"id":900004,"job":"x"}]'.encode("utf-16"), [400], "malformed_batch"),
        ("a number of 400 digits", b'[{"id":' + b"9" * 400 + b',"job":"x"}]', [400],
         "out_of_range"),
        ("a number of 10^6 digits", b'[{"id":' + b"9" * 1_000_000 + b',"job":"x"}]', [400],
         "out_of_range"),
        ("an exponent of 400 digits", b'[{"id":1e' + b"9" * 400 + b',"job":"x"}]', [400],
         "wrong_type"),
        ("NUL in a string", b'[{"id":900005,"job":"a\\u0000b"}]', [400], "wrong_type"),
        ("a raw NUL", b'[{"id":900006,"job":"a\x00b"}]', [400], None),
        ("half a surrogate pair", b'[{"id":900007,"job":"\\ud800"}]', [400], "wrong_type"),
        ("a field twice", b'[{"id":900008,"id":900009,"job":"x"}]', [400], "duplicate_field"),
        ("100,000 fields", b"[{" + b",".join(b'"f%d":1' % n for n in range(100_000)) + b"}]",
         [400], "unknown_field"),
        ("1001 rows", b"[" + b",".join([b"{}"] * 1001) + b"]", [400], "malformed_batch"),
        ("no rows", b"[]", [400], "malformed_batch"),
        ("nothing", b"", [400], "malformed_batch"),
        ("a string of 8 MiB", b'[{"id":900010,"job":"' + b"x" * ((8 << 20) - 64) + b'"}]',
         [200, 400], None),
    ]
    for name, body, statuses, code in cases:
        status, text = await status_of("POST", "/v1/jobs", body)
        has_code = code is None or f'"code":"{code}"'.encode() in text
        note(name, status in statuses and has_code, status=status)
    for kind, body in [
        ("text/csv", b'900020,"never closed\n' * 1000), ("text/csv", b"\xff\xfe,\x00\n" * 1000),
        ("text/csv", b"," * (1 << 20)), ("text/csv", b'"' * (1 << 20)),
        ("application/x-ndjson", b"[" * (1 << 20)), ("application/x-ndjson", b"\n" * (1 << 20)),
        ("application/x-ndjson", b"{}\n" * 1001),
    ]:
        status, _ = await status_of("POST", "/v1/jobs", body, f"Content-Type: {kind}\r\n")
        note(f"{kind}: {body[:12]!r}…", status == 400, status=status)
    for fields in ["Content-Encoding: gzip\r\n", "Content-Type: application/xml\r\n",
                   "Content-Type: text/csv; charset=utf-7\r\n"]:
        status, _ = await status_of("POST", "/v1/jobs", b"[]", fields)
        note(fields.strip(), status == 415, status=status)
    # A body that is cut off, at its end or before, is nothing at all.
    for kind, framing in [
        ("half a body of NDJSON", "Content-Length: 1000\r\n"),
        ("a chunked body without its end", "Transfer-Encoding: chunked\r\n"),
    ]:
        row = b'{"id":900030,"job":"cut"}\n'
        body = b"%x\r\n%s\r\n" % (len(row), row) if "chunked" in framing else row
        head = (f"POST /v1/jobs HTTP/1.1\r\nHost: a\r\n{KEY}"
                f"Content-Type: application/x-ndjson\r\n{framing}\r\n").encode()
        status, _, _ = await exchange(head + body, shut=True)
        gone, _ = await status_of("GET", "/v1/jobs/900030/history")
        note(f"{kind}, then the end of the connection", status in (0, 400) and gone == 404,
             status=status, history=gone)


# Heads, framing, paths.


async def heads():
    cases = [
        ("one header field of 1 MiB", "X: " + "a" * (1 << 20) + "\r\n", [431]),
        ("10,000 header fields", "X: a\r\n" * 10_000, [431]),
        ("101 header fields", "X: a\r\n" * 101, [431]),
        ("an idempotency key of 256 bytes", "Idempotency-Key: " + "k" * 256 + "\r\n", [400]),
        ("an empty idempotency key", "Idempotency-Key: \r\n", [400]),
        ("a key of 30 KB", "Authorization: Bearer " + "a" * 30_000 + "\r\n", [200, 400, 401]),
    ]
    for name, fields, statuses in cases:
        status, _ = await status_of("POST", "/v1/jobs", b"[]", fields)
        note(name, status in statuses, status=status)
    long, _ = await status_of("GET", "/v1/jobs/" + "a" * (1 << 20))
    note("a path of 1 MiB", long == 431, status=long)
    empty = "POST /v1/jobs HTTP/1.1\r\nHost: a\r\n" + KEY
    for name, raw, statuses in [
        ("length and chunks together",
         empty + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", [400]),
        ("two lengths", empty + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]", [400]),
        ("a negative length", empty + "Content-Length: -1\r\n\r\n[]", [400]),
        ("a length of 30 digits", empty + "Content-Length: " + "9" * 30 + "\r\n\r\n[]",
         [400, 413]),
        ("a chunk of 2^64 bytes",
         empty + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n[]", [400]),
        ("an unknown coding", empty + "Transfer-Encoding: chunked, identity\r\n\r\n[]", [400]),
        ("a folded field", empty + "X: a\r\n b\r\nContent-Length: 2\r\n\r\n[]", [400]),
        ("a space before the colon", empty + "Content-Length : 2\r\n\r\n[]", [400]),
        ("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 404, 405]),
        ("HTTP/0.9", "GET /v1\r\n\r\n", [400]),
        ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "a" * 200, [400]),
        ("noise", "".join(chr(n * 7 % 256) for n in range(4000)), [400]),
    ]:
        status, _, _ = await exchange(raw.encode("latin-1"))
        note(name, status in statuses, status=status)


async def protocols():
    """Asks for another protocol and goes on to send: what comes behind must not be kept."""
    for name, head in [
        ("an upgrade", "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                       "Upgrade: x\r\n\r\n"),
        ("an upgrade while it waits",
         f"GET /v1/events?follow=true&from=0 HTTP/1.1\r\nHost: a\r\n{KEY}"
         "Connection: upgrade\r\nUpgrade: x\r\n\r\n"),
        ("CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]:
        before, sent = kilobytes("VmRSS"), 0
        reader, writer = await connect()
        writer.write(head.encode())
        piece = b"x" * 65536
        try:
            while sent < options.big // 2:
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), 3)
                sent += len(piece)
        except (ConnectionError, asyncio.TimeoutError):
            pass
        grown = (kilobytes("VmRSS") - before) >> 10
        writer.transport.abort()
        note(f"{name}, then {options.big // 2} bytes", grown < 100, sent=sent, grown_mb=grown)
    # Errors to HEAD have no body, or the next answer on the connection would begin with it.
    reader, writer = await connect()
    writer.write(request("HEAD", "/v1", key=False) + request("HEAD", "/nowhere")
                 + request("GET", "/health/live"))
    heads = []
    for _ in range(3):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        heads.append(head[:12].decode("latin-1"))
    writer.close()
    note("HEAD without a key, HEAD of nothing, and GET on one connection",
         heads == ["HTTP/1.1 401", "HTTP/1.1 404", "HTTP/1.1 200"], heads=heads)


async def paths():
    for path in [
        "/../../etc/passwd", "/v1/../v1/../../etc/passwd", "/v1/%2e%2e/%2e%2e/etc/passwd",
        "/v1/jobs%2f..%2f..%2fetc%2fpasswd", "//v1//jobs//..", "/v1/jobs%00", "/v1/%00",
        "/v1/jobs/%ff%fe/history", "/v1/jobs/%", "/v1/reports/..%2f..%2fx", "/v1/batches/..",
        "/v1/rejections/-1", "/v1/rejections/99999999999999999999", "/v1/tables",
        "/local/v1/status",
        "/v1/local/v1/status", "/v1/jobs;a=b", "/v1/jobs?limit=1&limit=2&x=" + "%27" * 100,
        "/V1/JOBS", "/v1/jobs/1/history/..", "http://other/v1/jobs/900001/history", "*",
    ]:
        status, text = await status_of("GET", path)
        note(f"GET {path[:60]}", 400 <= status < 500 or (status == 200 and b"root:" not in text),
             status=status)


SQL = "x'; DROP TABLE jobs; DROP SCHEMA daybook CASCADE; --"


async def sql():
    quoted = "".join("%%%02x" % byte for byte in SQL.encode())
    rows = json.dumps([{"id": 910000, "job": SQL}, {SQL: 1}, {"id": SQL, "job": SQL}]).encode()
    status, _ = await status_of("POST", "/v1/jobs", rows, f"Idempotency-Key: {SQL}\r\n")
    note("SQL in every value and name of a row", status == 200, status=status)
    for path in [
        f"/v1/{quoted}", f"/v1/jobs/{quoted}/history", f"/v1/reports/{quoted}",
        f"/v1/reports/hires-by-quarter?year={quoted}", f"/v1/reports/hires-by-quarter?{quoted}=1",
        f"/v1/batches/{quoted}", f"/v1/batches?idempotency_key={quoted}",
        f"/v1/events?table={quoted}&limit=1", f"/v1/jobs?after={quoted}", f"/v1/jobs/{quoted}",
    ] + [
        f"/v1/rejections?{name}={quoted}"
        for name in ["table", "code", "column", "state", "source", "principal", "batch", "since"]
    ]:
        status, _ = await status_of("GET", path)
        note(f"SQL in {path.split('%')[0]}", 200 <= status < 500, status=status)
    status, _ = await status_of("GET", "/v1/rejections?limit=1")
    note("the tables are still there", status == 200, status=status)


# Slowness.


async def slow_bodies():
    """Half a body on each of many connections, and then nothing."""
    opened, half = [], 100_000
    head = request("POST", "/v1/jobs", b"").replace(
        b"Content-Length: 0", b"Content-Length: %d" % (2 * half))
    for _ in range(options.slow):
        reader, writer = await connect()
        writer.write(head + b" " * half)
        opened.append((reader, writer))
    statuses = {}
    for status, _, _ in await asyncio.gather(*(read_head(reader, 60) for reader, _ in opened)):
        statuses[status] = statuses.get(status, 0) + 1
    for _, writer in opened:
        writer.close()
    note(f"half a body from {options.slow} slow connections",
         set(statuses) <= {408, 503} and statuses.get(408, 0) > 0, statuses=statuses)


async def slow_heads():
    """A header that comes a byte a second."""
    opened = [await connect() for _ in range(options.slow // 2)]

    async def drip(reader, writer):
        answer = asyncio.create_task(read_head(reader, 60))
        for byte in b"POST /v1/jobs HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            if answer.done():
                break
            try:
                writer.write(bytes([byte]))
            except ConnectionError:
                break
            await asyncio.sleep(1)
        status, _, _ = await answer
        writer.close()
        return status

    statuses = {}
    for status in await asyncio.gather(*(drip(*pair) for pair in opened)):
        statuses[status] = statuses.get(status, 0) + 1
    note(f"a header that never ends from {len(opened)} connections", set(statuses) == {408},
         statuses=statuses)


async def slow_readers():
    """Large answers that nobody reads: rows that are rejected and repeated."""
    body = b"[" + b",".join([b'{"job":"' + b"x" * 7_000 + b'"}'] * 1000) + b"]"
    pairs = []
    for _ in range(40):
        reader, writer = await asyncio.open_connection(HOST, options.port, limit=1024)
        writer.write(request("POST", "/v1/jobs", body))
        try:
            await asyncio.wait_for(writer.drain(), 20)
        except (ConnectionError, asyncio.TimeoutError):
            pass
        pairs.append(writer)
    await asyncio.sleep(3)
    status, _ = await status_of("GET", "/health/live")
    for writer in pairs:
        writer.close()
    note("40 answers of 7 MB that nobody reads", status == 200, status=status)
    for _ in range(100):
        status, _ = await status_of("GET", "/v1")
        if status == 200:
            break
        await asyncio.sleep(0.1)
    note("and all is well when they are gone", status == 200, status=status)


async def pipeline():
    reader, writer = await connect()
    writer.write(request("GET", "/v1") * 1000)
    statuses = [(await read_head(reader, 30))[0] for _ in range(1000)]
    writer.close()
    note("1000 requests sent at once", set(statuses) == {200}, statuses=sorted(set(statuses)))


async def guesses():
    statuses = {}
    for number in range(300):
        status, _ = await status_of(
            "GET", "/v1/status", fields=f"x-api-key: guess-{number}\r\n", key=False)
        statuses[status] = statuses.get(status, 0) + 1
    note("300 keys that are none", set(statuses) <= {401, 429}, statuses=statuses)


async def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    reset_peak()
    before = kilobytes("VmRSS")
    honest = Honest()
    honest_task = asyncio.create_task(honest.run())
    peaks = {}
    attacks = [
        bodies, heads, protocols, paths, sql, pipeline, guesses, lambda: big_body(False),
        lambda: big_body(True), slow_readers, slow_bodies, slow_heads,
    ]
    for attack in attacks:
        reset_peak()
        start, count = time.monotonic(), honest.count
        await attack()
        name = getattr(attack, "__name__", "body").replace("<lambda>", "big_body")
        peaks.setdefault(name, {"peak_mb": 0, "seconds": 0, "honest": 0})
        peaks[name]["peak_mb"] = max(peaks[name]["peak_mb"], kilobytes("VmHWM") >> 10)
        peaks[name]["seconds"] = round(peaks[name]["seconds"] + time.monotonic() - start, 1)
        peaks[name]["honest"] += honest.count - count
    honest.is_done = True
    await honest_task
    bad = [result for result in results if not result["good"]]
    print(json.dumps({
        "attacks": len(results), "bad": bad, "honest_appends": honest.count,
        "honest_failures": honest.failures[:20], "honest_failure_count": len(honest.failures),
        "honest_slowest_seconds": round(honest.slowest, 3), "before_mb": before >> 10,
        "peak_mb": max(peak["peak_mb"] for peak in peaks.values()), "by_attack": peaks}))
    return 1 if bad else 0


sys.exit(asyncio.run(main()))
