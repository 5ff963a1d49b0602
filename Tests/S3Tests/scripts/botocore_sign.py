"""Signs requests with botocore: JSON samples on standard input, one Authorization a line."""
import datetime
import json
import sys
from urllib.parse import quote, urlencode

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def sign(sample):
    body = sample["body"].encode()
    path = quote(sample["key"], safe="/~")
    query = urlencode([tuple(pair) for pair in sample["query"]], quote_via=quote)
    url = f"http://127.0.0.1:9000/books/{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=sample["method"], url=url, data=body)
    for name, value in sample["headers"]:
        request.headers[name] = value
    # botocore takes the digest of a body only over TLS, or when it is told to.
    signer = auth.S3SigV4Auth(
        Credentials("AKID", "secret/+=", sample.get("token")), "s3", "eu-central-1")
    signer._should_sha256_sign_payload = lambda request: True
    time = datetime.datetime.strptime(sample["timestamp"], "%Y%m%dT%H%M%SZ")
    auth.get_current_datetime = lambda: time
    signer.add_auth(request)
    return request.headers["Authorization"]


for sample in json.load(sys.stdin):
    print(sign(sample))
