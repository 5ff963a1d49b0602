"""Prints what the log or a server has of the kill rounds, a line a row, with none of our code.

    kill_rows.py log < CONTAINER            an Avro object container file
    kill_rows.py http PORT KEY < KEYS       a server; a line of KEYS is an idempotency key

Lines, with tabs between the fields:

    batch  POSITION  RECEIVED_AT  ID  SOURCE  KEY  TABLE  ROWS
    row    PLACE  POSITION  TAG  TABLE  KEY|-  REFERENCE|-  CODE|-
    key    KEY  STATUS  POSITION  ROWS  ACCEPTED

CODE is that of the first reason of a rejection, `-` for an accepted row.
"""

import http.client
import json
import re
import sys
import urllib.parse

TAG = re.compile(r"#\d+\.\d+#")


def show(*fields):
    sys.stdout.write("\t".join("-" if field is None else str(field) for field in fields) + "\n")


def tag(text):
    found = TAG.search(text)
    return found.group(0) if found else "?"


def show_row(place, position, table, row):
    key = row.get("id")
    if key is None and "code" in row:
        key = row["code"].removeprefix("order ")
    show("row", place, position, row["tag"], table, key, row.get("item"), None)


def read_log():
    import fastavro

    for batch in fastavro.reader(sys.stdin.buffer, return_record_name=True):
        received = int(batch["received_at"].timestamp() * 1_000_000 + 0.5)
        show("batch", batch["position"], received, batch["id"], batch["source"],
             batch["idempotency_key"], batch["table"] or None, len(batch["rows"]))
        for index, (name, row) in enumerate(batch["rows"]):
            position = batch["position"] + index
            kind = name.split(".")[-1]
            if kind == "Rejection":
                text = row["raw"].decode()
                codes = [reason["code"] for reason in row["reasons"]]
                show("row", "log", position, tag(text), batch["table"], None, None, codes[0])
            elif kind != "Control":
                show_row("log", position, batch["table"], row)


class Server:
    def __init__(self, port, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.key = key

    def get(self, path):
        self.connection.request("GET", path, headers={"x-api-key": self.key})
        response = self.connection.getresponse()
        return response.status, response.read()

    def pages(self, path, name):
        after = None
        while True:
            query = {"limit": 1000} | ({} if after is None else {"after": after})
            status, body = self.get(path + "?" + urllib.parse.urlencode(query))
            if status != 200:
                sys.exit(f"{path}: {status} {body[:500]}")
            page = json.loads(body)
            yield from page[name]
            after = page["next"]
            if after is None:
                return


def read_server(port, key):
    server = Server(port, key)
    status, body = server.get("/v1/events?from=0")
    if status != 200:
        sys.exit(f"/v1/events: {status} {body[:500]}")
    for line in body.splitlines():
        event = json.loads(line)
        if event["verdict"] == "rejected":
            show("row", "events", event["position"], tag(event["raw"]), event["table"], None, None,
                 event["reasons"][0]["code"])
        elif event["verdict"] == "accepted":
            show_row("events", event["position"], event["table"], event["row"])
    for table in ["items", "orders", "notes"]:
        for row in server.pages("/v1/" + table, "rows"):
            show_row("pages", row["ledger_position"], table, row)
    for rejection in server.pages("/v1/rejections", "rejections"):
        show("row", "pages", rejection["position"], tag(rejection["raw"]), rejection["table"], None,
             None, rejection["reasons"][0]["code"])
    for line in sys.stdin:
        name = line.rstrip("\n")
        query = "idempotency_key=" + urllib.parse.quote(name, safe="")
        status, body = server.get("/v1/batches?" + query)
        batch = json.loads(body) if status == 200 else {}
        show("key", name, status, batch.get("position"), batch.get("rows"), batch.get("accepted"))


if sys.argv[1] == "log":
    read_log()
else:
    read_server(int(sys.argv[2]), sys.argv[3])
