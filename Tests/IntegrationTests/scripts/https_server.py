"""A web server for tests, over TLS on a loopback port.

    https_server.py CERTIFICATE KEY CONTENT

Serves the file CONTENT at every path, but for those that spoil it:
    /missing/…     404                      /busy/…      503 twice, then the file
    /cut/…         half of it, once         /hops/N/…    N redirects, then the file
    /insecure/…    redirects to http://     /gzip/…      says that it is encoded
    /slow/…        half of it, and waits    /endless/…   without a length and an end
Prints its port; ends with the process that started it.
"""
import http.server
import os
import ssl
import sys
import threading
import time

content = open(sys.argv[3], "rb").read()
seen = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def head(self, status, length, **headers):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()

    def whole(self, **headers):
        self.head(200, len(content), **headers)
        self.wfile.write(content)

    def do_GET(self):
        self.close_connection = True
        parts = self.path.split("/")
        seen[self.path] = seen.get(self.path, 0) + 1
        if parts[1] == "missing":
            self.head(404, 0)
        elif parts[1] == "busy" and seen[self.path] <= 2:
            self.head(503, 0)
        elif parts[1] == "cut" and seen[self.path] == 1:
            self.head(200, len(content))
            self.wfile.write(content[: len(content) // 2])
        elif parts[1] == "hops" and int(parts[2]) > 0:
            parts[2] = str(int(parts[2]) - 1)
            self.head(302, 0, Location="/".join(parts))
        elif parts[1] == "insecure":
            self.head(302, 0, Location="http://localhost:1/jobs.csv?X-Amz-Signature=hidden")
        elif parts[1] == "gzip":
            self.whole(Content_Encoding="gzip")
        elif parts[1] == "slow":
            self.head(200, len(content))
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            time.sleep(60)
        elif parts[1] == "endless":
            self.head(200, None)
            for _ in range(10_000):
                self.wfile.write(content)
        else:
            self.whole()


parent = os.getppid()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
while os.getppid() == parent:
    time.sleep(0.2)
