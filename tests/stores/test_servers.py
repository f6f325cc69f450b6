"""The stores on loopback do what jobs rest on: they keep every byte, create only what is absent, and list in pages."""

import json
import urllib.error
import urllib.request

import pytest

BYTES = bytes(range(256)) + b"\r\n--==0==\n\r"


def _send(method, url, body=None, headers=None):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    with opener.open(request, timeout=300) as answer:
        return answer.read()


def _upload_to_gcs(server, bucket, name, more=""):
    meta = json.dumps({"name": name}).encode()
    body = b"--x\nContent-Type: a/b\n\n" + meta + b"\n--x\nContent-Type: c/d\n\n" + BYTES + b"\n--x--"
    url = f"{server.address}/upload/storage/v1/b/{bucket}/o?uploadType=multipart{more}"
    _send("POST", url, body, {"Content-Type": 'multipart/related; boundary="x"'})


def test_gcs_keeps_every_byte_and_creates_only_what_is_absent(gcs_server, gcs_bucket):
    bucket = gcs_bucket.removeprefix("gs://")
    _upload_to_gcs(gcs_server, bucket, "a", "&ifGenerationMatch=0")
    with pytest.raises(urllib.error.HTTPError, match="412"):
        _upload_to_gcs(gcs_server, bucket, "a", "&ifGenerationMatch=0")
    _upload_to_gcs(gcs_server, bucket, "a")
    assert _send("GET", f"{gcs_server.address}/download/storage/v1/b/{bucket}/o/a?alt=media") == BYTES


def test_gcs_lists_in_pages(gcs_server, gcs_bucket):
    bucket, found, token = gcs_bucket.removeprefix("gs://"), [], ""
    for number in range(5):
        _upload_to_gcs(gcs_server, bucket, f"a/{number}")
    for _ in range(3):
        url = f"{gcs_server.address}/storage/v1/b/{bucket}/o?prefix=a/&maxResults=2&pageToken={token or 0}"
        page = json.loads(_send("GET", url))
        found.append([item["name"] for item in page["items"]])
        token = page.get("nextPageToken")
    assert found == [["a/0", "a/1"], ["a/2", "a/3"], ["a/4"]]
    assert token is None


def test_s3_keeps_every_byte_and_creates_only_what_is_absent(s3_server, s3_bucket):
    url = f"{s3_server.address}/{s3_bucket.removeprefix('s3://')}/a"
    signature = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"Content-Type": "application/octet-stream", "If-None-Match": "*", "Authorization": signature}
    _send("PUT", url, BYTES, headers)
    with pytest.raises(urllib.error.HTTPError, match="412"):
        _send("PUT", url, b"other", headers)
    assert _send("GET", url, None, headers) == BYTES
