"""Sends many requests from many connections at once, and says what was answered how often.

Reads an object from standard input: `port`, `connections`, `seed`, and `requests`, each with
`name`, `count`, `path`, `headers` and `body`. The requests are shuffled; every connection takes the
next one. Writes an object: for each name the different answers, with status, replay, position,
body, and count.
"""

import collections
import http.client
import json
import random
import sys
import threading

plan = json.load(sys.stdin)
todo = [request for request in plan["requests"] for _ in range(request["count"])]
random.Random(plan["seed"]).shuffle(todo)
todo = collections.deque(todo)
answers = collections.defaultdict(collections.Counter)
faults = []
lock = threading.Lock()
start = threading.Barrier(plan["connections"])


def send_all():
    connection = http.client.HTTPConnection("127.0.0.1", plan["port"], timeout=60)
    connection.connect()
    start.wait()
    while True:
        try:
            request = todo.popleft()
        except IndexError:
            break
        connection.request(
            "POST", request["path"], body=request["body"].encode(), headers=request["headers"])
        response = connection.getresponse()
        answer = (
            response.status, response.getheader("Idempotency-Replayed"),
            response.getheader("Daybook-Position"), response.read().decode())
        with lock:
            answers[request["name"]][answer] += 1
    connection.close()


def run():
    try:
        send_all()
    except Exception as error:  # whatever it is, the test is told
        start.abort()
        with lock:
            faults.append(repr(error))


threads = [threading.Thread(target=run) for _ in range(plan["connections"])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if faults:
    sys.exit("\n".join(faults[:5]))
names = ("status", "replayed", "position", "body", "count")
json.dump(
    {
        name: [dict(zip(names, answer + (count,))) for answer, count in found.items()]
        for name, found in answers.items()
    },
    sys.stdout)
