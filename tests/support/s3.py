"""An S3 client for tests, as bare as can be: no retries, no checksums of its own; and Swift's own API beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import requests
from botocore.config import Config

from openstack_image_manager.sandbox import Account

PART = 5 * 2**20  # S3's smallest part, but for the last
SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@contextmanager
def s3_client(account: Account, url: str = "", secret_key: str = "") -> Iterator[Any]:
    """A client that leaves nothing open; `url`, `secret_key`: instead of the account's."""
    config = Config(
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = boto3.client(
        "s3",
        endpoint_url=url or account.url,
        aws_access_key_id=account.access_key,
        aws_secret_access_key=secret_key or account.secret_key,
        region_name=account.region,
        config=config,
    )
    try:
        yield client
    finally:
        client.close()


def upload(client: Any, bucket: str, key: str, parts: list[bytes], **metadata: str) -> dict[str, Any]:
    """What `complete_multipart_upload` takes, with all parts uploaded."""
    where = {"Bucket": bucket, "Key": key}
    where["UploadId"] = client.create_multipart_upload(**where, Metadata=metadata)["UploadId"]
    done = [
        {"PartNumber": number, "ETag": client.upload_part(**where, PartNumber=number, Body=part)["ETag"]}
        for number, part in enumerate(parts, 1)
    ]
    return {**where, "MultipartUpload": {"Parts": done}}


def remove_bucket(client: Any, bucket: str) -> None:
    """Delete a bucket with everything in it, uploads that nobody finished too."""
    for upload in uploads(client, bucket):
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for key in keys(client, bucket):
        client.delete_object(Bucket=bucket, Key=key)
    client.delete_bucket(Bucket=bucket)


def uploads(client: Any, bucket: str) -> list[dict[str, Any]]:
    """Multipart uploads that were neither completed nor aborted."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
    return [upload for page in pages for upload in page.get("Uploads", [])]


def keys(client: Any, bucket: str) -> list[str]:
    """All keys, in order."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def swift(account: Account) -> tuple[str, dict[str, str]]:
    """Address and token for Swift's own API."""
    user = {"X-Auth-User": account.access_key, "X-Auth-Key": account.secret_key}
    answer = requests.get(f"{account.url}/auth/v1.0", headers=user, timeout=60)
    return answer.headers["X-Storage-Url"], {"X-Auth-Token": answer.headers["X-Auth-Token"]}
