"""Call S3: each call has time limits, bounded retries and a message.

What decides here, and why, is in docs/decisions/014 and 016.
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

IN_FLIGHT = 4  # parts, of all uploads together: what memory holds is these, and one part of each upload
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
    "403": "these credentials lack the permission; check the bucket's policy or ACL",  # HEAD tells no reason
    EXISTS: "an object already exists",
}


class Bucket:
    """One bucket, with the credentials and the configuration that all AWS tools use. `with` closes it."""

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
        if self.endpoint.startswith("https:"):  # TLS notices damage on the way; elsewhere the digest of each part does
            self._client.meta.config.s3["payload_signing_enabled"] = False
        requests = self._client._endpoint  # botocore has no other way to look at an answer before it is read
        requests.http_session = BoundedSession(requests.http_session)
        self._part_slots = threading.BoundedSemaphore(IN_FLIGHT)
        self._free_buffers: list[Buffer] = []

    def __enter__(self) -> Bucket:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @contextmanager
    def _operation(self, what: str) -> Iterator[None]:
        """Every failure becomes a StorageError that says where, what, and what to do."""
        where = f"s3://{self.name} at {public_url(self.endpoint)}: {what}"
        try:
            yield
        except ClientError as error:
            answer = error.response
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = str(answer.get("Error", {}).get("Code", ""))
            told = _ADVICE.get("SlowDown" if status in (429, 503) else code)
            said = f"{status} {code}" + (f" {reason(str(answer['Error'].get('Message', '')))}" if not told else "")
            kind = UnknownBucketError if code in NO_BUCKET else StorageError
            raise kind(f"{where}: {said.strip()}" + (f": {told}" if told else ""), code) from None
        except (NoCredentialsError, PartialCredentialsError):
            hint = "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            raise StorageError(f"{where}: {hint}") from None
        except (BotoCoreError, HTTPClientError) as error:
            raise StorageError(f"{where}: {reason(str(error))}") from None
        except KeyError as error:
            raise StorageError(f"{where}: the answer has no {error.args[0]}") from None

    def entries(self, prefix: str) -> Iterator[Entry]:
        """All objects below the prefix, records too."""
        with self._operation("listing"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for each in page.get("Contents", ()):
                    yield Entry(each["Key"], each["Size"], each["LastModified"])

    def get(self, key: str) -> bytes | None:
        """A small object; None if there is none."""
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
        """The object, and whether its metadata say that it is ours; None if there is none."""
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
        """Raises StorageError where the bucket is not there or may not be looked at."""
        with self._operation("looking at the bucket"):
            self._client.head_bucket(Bucket=self.name)

    def put(self, key: str, data: bytes, kind: str = "application/json", *, new: bool = False) -> None:
        """Write a small object in one request, with the metadata of ours; `new`: where nothing is, or it is EXISTS."""
        given: dict[str, Any] = {"Bucket": self.name, "Key": key, "Body": data, "ContentType": kind}
        with self._operation(f"writing {key}"):
            self._client.put_object(**given, Metadata={MADE_BY: MAKER}, **({"IfNoneMatch": "*"} if new else {}))

    def remove(self, key: str) -> None:
        """Delete one object. (On Swift its parts go too, which they do not when an object is written over.)"""
        with self._operation(f"deleting {key}"):
            self._client.delete_object(Bucket=self.name, Key=key)

    def read(self, key: str, stop: threading.Event) -> Iterator[bytes]:
        """The object's bytes. A broken connection goes on where it was. Raises Interrupted when `stop` is set."""
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
        """An upload in parts, of which nothing can be seen before it is completed."""
        with self._operation(f"uploading {key}"):
            answer = self._client.create_multipart_upload(
                Bucket=self.name, Key=key, Metadata=dict(metadata), ContentType="application/octet-stream"
            )
        return PartsUpload(self, key, answer["UploadId"])

    def unfinished_uploads(self, prefix: str) -> list[UnfinishedUpload]:
        """Uploads below the prefix that nobody has finished."""
        with self._operation("listing uploads"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
            found = [each for page in pages for each in page.get("Uploads", ())]
        return [UnfinishedUpload(each["Key"], each["UploadId"], each["Initiated"]) for each in found]

    def abort(self, key: str, upload_id: str) -> None:
        """Remove an upload's parts; one that is gone already is fine."""
        with self._operation(f"aborting the upload of {key}"), suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)

    def buffer(self) -> Buffer:
        """Memory for one part; `send` takes it back. Memory that is used again need not be cleared again."""
        try:
            return self._free_buffers.pop()
        except IndexError:
            return Buffer(PART)

    def send(self, key: str, upload_id: str, number: int, part: Buffer, size: int) -> Future[str]:
        """Begin to send the first `size` bytes as a part as soon as there is room for one, and wait no longer than
        until then; its ETag."""
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

        return BackgroundCall(work).future  # no pool, whose threads would be waited for at the end

    def complete(self, key: str, upload_id: str, tags: list[str]) -> str:
        """Make the object visible, where nothing is; its ETag. Raises StorageError, with code EXISTS where something
        is."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        with self._operation(f"completing {key}"):
            answer = self._client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
            return str(answer["ETag"])
