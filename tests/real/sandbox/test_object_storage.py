"""What the sandbox's object storage does with S3 requests, and what the proxy in front of it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError
from tests.support.proxy import Proxy, Rule
from tests.support.s3 import PART, SLOW_DOWN, keys, s3_client, swift, upload, uploads

from openstack_image_manager.sandbox import Account, Sandbox
from openstack_image_manager.sandbox.site import serving


@pytest.fixture
def breaking(object_storage: Account) -> Iterator[Proxy]:
    """A proxy of this test alone in front of the object storage, without rules yet."""
    with serving(Proxy(object_storage.url)) as running:
        yield running


@pytest.fixture
def broken(object_storage: Account, breaking: Proxy) -> Iterator[Any]:
    """A client that goes through it."""
    with s3_client(object_storage, breaking.url) as client:
        yield client


def refusal(call: Any, **arguments: Any) -> tuple[int, str]:
    """Status and code of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_an_object_appears_when_its_upload_is_completed(s3: Any, bucket: str) -> None:
    parts = [b"a" * PART, b"b" * PART, b"c"]
    done = upload(s3, bucket, "images/x.qcow2", parts, sha256="12", source="https://example.org/x?a=1")
    assert refusal(s3.head_object, Bucket=bucket, Key="images/x.qcow2") == (404, "404")
    assert ([each["Key"] for each in uploads(s3, bucket)], keys(s3, bucket)) == (["images/x.qcow2"], [])
    s3.complete_multipart_upload(**done)
    assert (uploads(s3, bucket), keys(s3, bucket)) == ([], ["images/x.qcow2"])
    head = s3.head_object(Bucket=bucket, Key="images/x.qcow2")
    assert head["Metadata"] == {"sha256": "12", "source": "https://example.org/x?a=1"}
    assert (head["ContentLength"], head["ETag"][-3:]) == (2 * PART + 1, '-3"')
    assert s3.get_object(Bucket=bucket, Key="images/x.qcow2")["Body"].read() == b"".join(parts)
    part = s3.get_object(Bucket=bucket, Key="images/x.qcow2", Range=f"bytes={PART - 1}-{PART}")
    assert (part["ResponseMetadata"]["HTTPStatusCode"], part["Body"].read()) == (206, b"ab")
    link = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "images/x.qcow2"}, ExpiresIn=60)
    assert requests.get(link, timeout=60).content == b"".join(parts)


def test_nothing_is_written_over_with_if_none_match(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"first", IfNoneMatch="*")
    exists = (412, "PreconditionFailed")
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"second", IfNoneMatch="*") == exists
    done = upload(s3, bucket, "a", [b"third"])
    assert refusal(s3.complete_multipart_upload, **done, IfNoneMatch="*") == exists
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"first"
    s3.complete_multipart_upload(**done)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"third"


def test_what_is_aborted_or_deleted_leaves_nothing(s3: Any, bucket: str, object_storage: Account) -> None:
    storage, token = swift(object_storage)
    done = upload(s3, bucket, "a", [b"a" * PART, b"b"])
    where = {name: done[name] for name in ("Bucket", "Key", "UploadId")}
    s3.abort_multipart_upload(**where)
    assert (uploads(s3, bucket), keys(s3, bucket)) == ([], [])
    assert refusal(s3.abort_multipart_upload, **where) == (404, "NoSuchUpload")
    assert refusal(s3.upload_part, **where, PartNumber=1, Body=b"") == (404, "NoSuchUpload")
    assert refusal(s3.complete_multipart_upload, **done) == (404, "NoSuchUpload")
    s3.complete_multipart_upload(**upload(s3, bucket, "a", [b"a" * PART, b"b"]))
    # Swift keeps the parts in a container of their own
    assert len(requests.get(f"{storage}/{bucket}+segments", headers=token, timeout=60).text.split()) == 2
    s3.delete_object(Bucket=bucket, Key="a")
    assert requests.get(f"{storage}/{bucket}+segments", headers=token, timeout=60).text == ""


def test_parts_are_checked(s3: Any, bucket: str) -> None:
    done = upload(s3, bucket, "a", [b"short", b"b"])
    assert refusal(s3.complete_multipart_upload, **done) == (400, "EntityTooSmall")
    done["MultipartUpload"]["Parts"][0]["ETag"] = f'"{"0" * 32}"'
    assert refusal(s3.complete_multipart_upload, **done) == (400, "InvalidPart")
    done["MultipartUpload"]["Parts"].reverse()
    assert refusal(s3.complete_multipart_upload, **done) == (400, "InvalidPartOrder")
    put = {"Bucket": bucket, "Key": "b", "Body": b"b"}
    assert refusal(s3.put_object, **put, ContentMD5="A" * 22 + "==") == (400, "BadDigest")
    assert refusal(s3.put_object, **put, ChecksumSHA256="A" * 43 + "=") == (400, "BadDigest")
    # a limit of Swift; elsewhere it is 2 KiB for all metadata
    assert refusal(s3.put_object, **put, Metadata={"source": "x" * 257}) == (400, "InvalidRequest")
    assert keys(s3, bucket) == []


def test_copies_keep_or_replace_metadata(s3: Any, bucket: str) -> None:
    s3.complete_multipart_upload(**upload(s3, bucket, "a", [b"a" * PART, b"b"], sha256="1"))
    source = {"Bucket": bucket, "Key": "a"}
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="c", CopySource=source, MetadataDirective="REPLACE", Metadata={"sha256": "2"})
    s3.delete_object(**source)
    assert [s3.head_object(Bucket=bucket, Key=key)["Metadata"] for key in "bc"] == [{"sha256": "1"}, {"sha256": "2"}]
    assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == b"a" * PART + b"b"


def test_listing_by_prefix_and_page(s3: Any, bucket: str) -> None:
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"debian 13/{number}+ü", Body=b"x" * number)
    s3.put_object(Bucket=bucket, Key="ubuntu/1", Body=b"")
    page, found = s3.list_objects_v2(Bucket=bucket, Prefix="debian 13/", MaxKeys=2), []
    while True:
        found += [(entry["Key"], entry["Size"]) for entry in page["Contents"]]
        if not page["IsTruncated"]:
            break
        page = s3.list_objects_v2(
            Bucket=bucket, Prefix="debian 13/", MaxKeys=2, ContinuationToken=page["NextContinuationToken"]
        )
    assert found == [(f"debian 13/{number}+ü", number) for number in range(5)]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in ("ubuntu/1", "not there")]})
    assert {each["Key"] for each in answer["Deleted"]} == {"ubuntu/1", "not there"}
    assert len(keys(s3, bucket)) == 5


def test_who_may_not(s3: Any, bucket: str, sandbox: Sandbox, object_storage: Account) -> None:
    put = {"Bucket": bucket, "Key": "a", "Body": b"a"}
    missing = {**put, "Bucket": f"{bucket}-missing"}
    assert refusal(s3.put_object, **missing) == (404, "NoSuchBucket")
    assert refusal(s3.list_objects_v2, Bucket=missing["Bucket"]) == (404, "NoSuchBucket")
    assert refusal(s3.get_object, Bucket=bucket, Key="a") == (404, "NoSuchKey")
    with s3_client(object_storage, secret_key="wrong") as stranger:
        assert refusal(stranger.put_object, **put) == (403, "SignatureDoesNotMatch")
        assert refusal(stranger.head_object, Bucket=bucket, Key="a") == (403, "403")
    with s3_client(sandbox.account("member")) as member:
        for call in (member.put_object, member.get_object, member.create_multipart_upload):
            arguments = {name: put[name] for name in put if name != "Body" or call == member.put_object}
            assert refusal(call, **arguments) == (403, "AccessDenied")
        assert refusal(member.list_objects_v2, Bucket=bucket) == (403, "AccessDenied")
        assert refusal(member.create_bucket, Bucket=missing["Bucket"]) == (403, "AccessDenied")
    assert keys(s3, bucket) == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wrong_clock_is_told(bucket: str, object_storage: Account, hours: int) -> None:
    now = (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{object_storage.access_key}/{now[:8]}/{object_storage.region}/s3/aws4_request"
    signature = f"SignedHeaders=host;x-amz-date,Signature={'0' * 64}"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope},{signature}", "X-Amz-Date": now}
    headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    answer = requests.get(f"{object_storage.url}/{bucket}", headers=headers, timeout=60)
    assert (answer.status_code, "<Code>RequestTimeTooSkewed</Code>" in answer.text) == (403, True)


def test_a_full_quota(s3: Any, bucket: str, object_storage: Account) -> None:
    storage, token = swift(object_storage)
    quota = {"X-Container-Meta-Quota-Bytes": "1000"}
    assert requests.post(f"{storage}/{bucket}", headers=token | quota, timeout=60).status_code == 204
    s3.put_object(Bucket=bucket, Key="a", Body=b"a" * 900)
    full = (400, "EntityTooLarge")
    assert refusal(s3.put_object, Bucket=bucket, Key="b", Body=b"b" * 101) == full
    assert refusal(s3.complete_multipart_upload, **upload(s3, bucket, "b", [b"b" * PART])) == full
    assert keys(s3, bucket) == ["a"]


def test_a_public_bucket_has_a_swift_address(s3: Any, bucket: str, object_storage: Account) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")  # before the first part: the container of parts inherits it
    s3.complete_multipart_upload(**upload(s3, bucket, "a", [b"a" * PART, b"b"]))
    storage, _ = swift(object_storage)
    answer = requests.get(f"{storage}/{bucket}/a", headers={"Range": "bytes=-2"}, timeout=60)
    assert (answer.status_code, answer.content) == (206, b"ab")
    assert requests.get(f"{storage}/{bucket}", timeout=60).text == "a\n"
    assert requests.get(f"{object_storage.url}/{bucket}/a", timeout=60).status_code == 400
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    assert requests.get(f"{storage}/{bucket}/a", timeout=60).status_code == 401


def test_signed_requests_pass_the_proxy(broken: Any, s3: Any, bucket: str, breaking: Proxy) -> None:
    broken.put_object(Bucket=bucket, Key="a b", Body=b"x" * PART, IfNoneMatch="*", Metadata={"sha256": "1"})
    assert broken.get_object(Bucket=bucket, Key="a b")["Body"].read() == b"x" * PART
    done = upload(broken, bucket, "c", [b"a" * PART, b"b"])
    assert uploads(broken, bucket)[0]["UploadId"] == done["UploadId"]
    broken.complete_multipart_upload(**done)
    assert keys(s3, bucket) == ["a b", "c"]
    assert breaking.count("PUT", f"/{bucket}/a%20b") == 1


def test_the_proxy_slows_a_part_down(broken: Any, s3: Any, bucket: str, breaking: Proxy) -> None:
    breaking.add(Rule("PUT", f"/{bucket}/a", nth=2, status=503, body=SLOW_DOWN))
    breaking.add(Rule("HEAD", ".*", status=503, body=SLOW_DOWN))
    parts = [b"a" * PART, b"b"]
    assert refusal(upload, client=broken, bucket=bucket, key="a", parts=parts) == (503, "SlowDown")
    assert refusal(broken.head_object, Bucket=bucket, Key="a") == (503, "503")
    where = {"Bucket": bucket, "Key": "a", "UploadId": uploads(s3, bucket)[0]["UploadId"]}
    assert [part["PartNumber"] for part in s3.list_parts(**where)["Parts"]] == [1]
    broken.complete_multipart_upload(**upload(broken, bucket, "a", parts))


def test_the_proxy_breaks_off_in_mid_part(broken: Any, s3: Any, bucket: str, breaking: Proxy) -> None:
    breaking.add(Rule("PUT", f"/{bucket}/a", nth=2, cut=PART // 2))
    with pytest.raises(ConnectionClosedError):
        upload(broken, bucket, "a", [b"a" * PART, b"b" * PART])
    where = {"Bucket": bucket, "Key": "a", "UploadId": uploads(s3, bucket)[0]["UploadId"]}
    assert [part["PartNumber"] for part in s3.list_parts(**where)["Parts"]] == [1]
    assert breaking.calls[-1].status is None


def test_the_proxy_breaks_off_in_mid_download(broken: Any, s3: Any, bucket: str, breaking: Proxy) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"a" * PART)
    breaking.add(Rule("GET", f"/{bucket}/a", cut=PART // 2))
    body = broken.get_object(Bucket=bucket, Key="a")["Body"]
    with pytest.raises((ResponseStreamingError, IncompleteReadError)):
        body.read()
    assert broken.get_object(Bucket=bucket, Key="a")["Body"].read() == b"a" * PART
