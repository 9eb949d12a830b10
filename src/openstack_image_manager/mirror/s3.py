"""Call S3: each call has time limits, bounded retries and a message.

docs/decisions/014 and 016 give the reasons.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)

from openstack_image_manager.background import BackgroundCall
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import Interrupted, StorageError, UnknownBucketError, reason
from openstack_image_manager.mirror.multipart import PART, Buffer, PartsUpload
from openstack_image_manager.mirror.record import MADE_BY, MAKER
from openstack_image_manager.mirror.s3_answers import BoundedSession, is_late
from openstack_image_manager.mirror.store import CHUNK, EXISTS, LARGEST_SMALL_FILE, Entry, UnfinishedUpload
from openstack_image_manager.redaction import remember

IN_FLIGHT = 4  # parts of all uploads: memory holds these, and one more part of each upload
TRIES = 5
CONNECT_TIMEOUT, READ_TIMEOUT = 15, 60  # seconds
NO_BUCKET = ("NoSuchBucket", "404")
_ADVICE = {
    "NoSuchBucket": "the bucket does not exist; create it, or correct --bucket",
    "AccessDenied": "these credentials lack the permission; check the bucket's policy or ACL",
    "SignatureDoesNotMatch": "the credentials are wrong; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId": "the credentials are wrong; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "EntityTooLarge": "the storage or its quota is full; free space, or raise the quota",
    "QuotaExceeded": "the storage or its quota is full; free space, or raise the quota",
    "SlowDown": f"it is overloaded; given up after {TRIES} tries: run again later, with fewer --workers",
    "404": "the bucket does not exist; create it, or correct --bucket",
    "403": "these credentials lack the permission; check the bucket's policy or ACL",  # HEAD gives no reason
    EXISTS: "an object already exists",
}


class Bucket:
    """One bucket, with the credentials and configuration that all AWS tools use. `with` closes it."""

    def __init__(self, name: str, endpoint: str | None = None) -> None:
        self.name = name
        config = Config(
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": TRIES},
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=64,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            session = boto3.session.Session()
            keys = session.get_credentials()
            remember(*((keys.secret_key, keys.token) if keys else ()))
            region = session.region_name or "us-east-1"
            self._client: Any = session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            raise StorageError(f"s3://{name}: {reason(str(error))}; check --endpoint and the AWS_* variables") from None
        self.endpoint: str = self._client.meta.endpoint_url
        if self.endpoint.startswith(
            "https:"
        ):  # TLS detects damage on the way; without it, the digest of each part does
            self._client.meta.config.s3["payload_signing_enabled"] = False
        requests = self._client._endpoint  # botocore has no other hook before an answer is read
        requests.http_session = BoundedSession(requests.http_session)
        self._part_slots = threading.BoundedSemaphore(IN_FLIGHT)
        self._free_buffers: list[Buffer] = []

    def __enter__(self) -> Bucket:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @contextmanager
    def _operation(self, what: str) -> Iterator[None]:
        """Turn every failure into a StorageError that says where, what, and what to do."""
        where = f"s3://{self.name} at {public_url(self.endpoint)}: {what}"
        try:
            yield
        except ClientError as error:
            answer = error.response
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = str(answer.get("Error", {}).get("Code", ""))
            advice = _ADVICE.get("SlowDown" if status in (429, 503) else code)
            problem = f"{status} {code}" + (f" {reason(str(answer['Error'].get('Message', '')))}" if not advice else "")
            kind = UnknownBucketError if code in NO_BUCKET else StorageError
            raise kind(f"{where}: {problem.strip()}" + (f": {advice}" if advice else ""), code) from None
        except (NoCredentialsError, PartialCredentialsError):
            hint = "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            raise StorageError(f"{where}: {hint}") from None
        except (BotoCoreError, HTTPClientError) as error:
            raise StorageError(f"{where}: {reason(str(error))}") from None
        except KeyError as error:
            raise StorageError(f"{where}: the answer has no {error.args[0]}") from None

    def entries(self, prefix: str) -> Iterator[Entry]:
        """List all objects below the prefix, records included."""
        with self._operation("listing"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield Entry(entry["Key"], entry["Size"], entry["LastModified"])

    def get(self, key: str) -> bytes | None:
        """Read a small object; None if it does not exist."""
        data = bytearray()
        try:
            for chunk in self.read(key, threading.Event()):
                data += chunk
                if len(data) > LARGEST_SMALL_FILE:
                    raise StorageError(f"s3://{self.name}: {key} is larger than {LARGEST_SMALL_FILE} bytes")
        except StorageError as error:
            if error.code == "NoSuchKey":
                return None
            raise
        return bytes(data)

    def head(self, key: str) -> tuple[Entry, bool] | None:
        """Return the object, and whether its metadata names this program; None if it does not exist."""
        with self._operation(f"looking at {key}"):
            try:
                head = self._client.head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise
            entry = Entry(key, head["ContentLength"], head["LastModified"], head["ETag"])
            return entry, head["Metadata"].get(MADE_BY) == MAKER

    def check(self) -> None:
        """Raise StorageError if the bucket does not exist or cannot be accessed."""
        with self._operation("looking at the bucket"):
            self._client.head_bucket(Bucket=self.name)

    def put(self, key: str, data: bytes, kind: str = "application/json", *, new: bool = False) -> None:
        """Write a small object and its metadata in one request. `new`: only if no object exists; otherwise raise
        EXISTS."""
        given: dict[str, Any] = {"Bucket": self.name, "Key": key, "Body": data, "ContentType": kind}
        with self._operation(f"writing {key}"):
            self._client.put_object(**given, Metadata={MADE_BY: MAKER}, **({"IfNoneMatch": "*"} if new else {}))

    def remove(self, key: str) -> None:
        """Delete one object. (On Swift this also deletes its parts; an overwrite does not.)"""
        with self._operation(f"deleting {key}"):
            self._client.delete_object(Bucket=self.name, Key=key)

    def read(self, key: str, stop: threading.Event) -> Iterator[bytes]:
        """Read the bytes of the object; a broken connection is resumed. Raises Interrupted when `stop` is set."""
        done, failures, begun = 0, 0, time.monotonic()
        while True:
            try:
                with self._operation(f"reading {key}"):
                    given = {"Range": f"bytes={done}-"} if done else {}
                    answer = self._client.get_object(Bucket=self.name, Key=key, **given)
                    with closing(answer["Body"]) as body:
                        while chunk := body.read(CHUNK):
                            if stop.is_set():
                                raise Interrupted("interrupted")
                            yield chunk
                            done, failures = done + len(chunk), 0
                            if is_late(time.monotonic() - begun, done):
                                where = f"s3://{self.name} at {public_url(self.endpoint)}"
                                raise StorageError(f"{where}: reading {key}: too slow, {done} bytes so far")
                return
            except StorageError as error:
                if not isinstance(error.__context__, IncompleteReadError | ResponseStreamingError | HTTPClientError):
                    raise
                failures += 1
                if failures == TRIES:
                    raise
                if stop.wait(2.0**failures / 4):
                    raise Interrupted("interrupted") from None

    def begin_upload(self, key: str, metadata: Mapping[str, str]) -> PartsUpload:
        """Begin a multipart upload, which stays invisible until it is completed."""
        with self._operation(f"uploading {key}"):
            answer = self._client.create_multipart_upload(
                Bucket=self.name, Key=key, Metadata=dict(metadata), ContentType="application/octet-stream"
            )
        return PartsUpload(self, key, answer["UploadId"])

    def unfinished_uploads(self, prefix: str) -> list[UnfinishedUpload]:
        """List the unfinished uploads below the prefix."""
        with self._operation("listing uploads"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
            uploads = [upload for page in pages for upload in page.get("Uploads", ())]
        return [UnfinishedUpload(upload["Key"], upload["UploadId"], upload["Initiated"]) for upload in uploads]

    def abort(self, key: str, upload_id: str) -> None:
        """Remove the parts of an upload; a missing upload is not an error."""
        with self._operation(f"aborting the upload of {key}"), suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)

    def buffer(self) -> Buffer:
        """Return memory for one part; `send` reuses it, which saves clearing it again."""
        try:
            return self._free_buffers.pop()
        except IndexError:
            return Buffer(PART)

    def send(self, key: str, upload_id: str, number: int, part: Buffer, size: int) -> Future[str]:
        """Start to send the first `size` bytes as a part; return a future of its ETag.

        This waits only until the number of parts in flight allows another one.
        """
        self._part_slots.acquire()

        def work() -> str:
            try:
                with self._operation(f"uploading {key}, part {number}"):
                    where = {"Bucket": self.name, "Key": key, "UploadId": upload_id}
                    body = part if size == len(part) else bytes(memoryview(part)[:size])
                    answer = self._client.upload_part(**where, PartNumber=number, Body=body)
                    return str(answer["ETag"])
            finally:
                self._free_buffers.append(part)
                self._part_slots.release()

        return BackgroundCall(work).future  # not a pool: the end of the program would wait for its threads

    def complete(self, key: str, upload_id: str, tags: list[str]) -> str:
        """Make the object visible if its key is free; return its ETag. Raises StorageError, with code EXISTS if the key
        is in use."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        with self._operation(f"completing {key}"):
            answer = self._client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
            return str(answer["ETag"])
