"""Object storage for tests: moto on loopback ports, with two users and one bucket.

    s3_server.py [CERTIFICATE KEY]

Signatures and permissions are checked from the first request that a test makes. moto does not hold
a body against its signed digest, as the real storage does; this program does, before moto sees it.
Ends with the process that started it.
"""
import base64
import hashlib
import io
import json
import os
import sys
import threading
import time

import boto3
from moto import settings
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *arguments):
        pass


def refusal(start_response, code):
    body = f"<Error><Code>{code}</Code><Message>The body is another.</Message></Error>".encode()
    headers = [("Content-Length", str(len(body))), ("Connection", "close")]
    start_response("400 Bad Request", headers)
    return [body]


def checking(application):
    """Refuses what AWS refuses and moto does not: a body that is not the one that was signed."""

    def answer(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if not environ.get("PATH_INFO", "").startswith("/moto-api"):
            if "HTTP_AUTHORIZATION" in environ and checking.is_on:
                signed = environ.get("HTTP_X_AMZ_CONTENT_SHA256")
                if signed != hashlib.sha256(body).hexdigest():
                    return refusal(start_response, "XAmzContentSHA256Mismatch")
            md5 = environ.get("HTTP_CONTENT_MD5")
            if md5 and base64.b64decode(md5) != hashlib.md5(body).digest():
                return refusal(start_response, "BadDigest")
        return application(environ, start_response)

    return answer


checking.is_on = False


def serve(application, certificate=None):
    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=Handler,
        ssl_context=certificate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main():
    parent = os.getppid()
    application = checking(DomainDispatcherApplication(create_backend_app))
    port = serve(application)
    tls_port = serve(application, tuple(sys.argv[1:3])) if len(sys.argv) > 2 else None
    options = {
        "endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1",
        "aws_access_key_id": "setup", "aws_secret_access_key": "setup",
    }
    iam = boto3.client("iam", **options)

    def user(name, actions):
        iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}

    users = {"writer": user("writer", ["s3:*"]), "reader": user("reader", ["s3:Get*", "s3:List*"])}
    boto3.client("s3", **options).create_bucket(Bucket="books")
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    checking.is_on = True
    print(json.dumps({"port": port, "tlsPort": tls_port, "users": users}), flush=True)
    while os.getppid() == parent:
        time.sleep(0.2)


main()
