"""Send one version to a worker as plain values.

The values contain no secrets: each machine has its own credentials in its environment.
"""

from __future__ import annotations

import threading
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openstack_image_manager import __version__
from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.errors import Error, StorageError
from openstack_image_manager.mirror.location import Item, Target
from openstack_image_manager.mirror.plan import Comparison, StoredObject, Verdict
from openstack_image_manager.mirror.record import Record

if TYPE_CHECKING:
    from openstack_image_manager.mirror.s3 import Bucket

# The fields of a definition that a copy needs; the password of its user is not one of them.
_FIELDS = {"name", "shortname", "format", "separator", "meta", "resolve", "multi"}
Job = dict[str, Any]


def can_be_sent(comparison: Comparison) -> bool:
    """Return True if its URLs contain no passwords or tokens."""
    version = comparison.item.version
    return all(url is None or public_url(url) == url for url in (version.url, version.checksum_file))


def create_job(comparison: Comparison, target: Target, endpoint: str, keys: str | None) -> Job:
    """Return the work as plain values. `keys`: a directory with signature keys on the machine of the worker."""
    item, stored = comparison.item, comparison.stored
    definition = item.definition.model_dump(mode="json", include=_FIELDS, exclude_none=True)
    stored_object = None
    if stored:
        stored_object = {**asdict(stored), "modified": stored.modified.isoformat()}
    return {
        "made_by": __version__,
        "definition": {**definition, "versions": []},
        "version": item.version.model_dump(mode="json", exclude_none=True, exclude={"mirror_url"}),
        "key": item.key,
        "verdict": str(comparison.verdict),
        "stored": stored_object,
        "bucket": target.bucket,
        "endpoint": public_url(endpoint),
        "keys": keys,
    }


def read_job(job: Job) -> Comparison:
    """Read the comparison from a job."""
    definition = Definition.model_validate(job["definition"])
    item = Item(definition, Version.model_validate(job["version"]), job["key"])
    stored = None
    if stored_object := job["stored"]:
        record = Record(**stored_object["record"]) if stored_object["record"] else None
        stored = StoredObject(
            stored_object["key"],
            stored_object["size"],
            datetime.fromisoformat(stored_object["modified"]),
            record,
            stored_object["is_own"],
        )
    return Comparison(item, Verdict(job["verdict"]), "", stored)


def read_answer(answer: Job) -> tuple[str, Record]:
    """Return what was done and the record. Raises Error with the error of the worker."""
    if "error" in answer:
        raise Error(answer["error"])
    return answer["message"], Record(**answer["record"])


class NullReporter:
    """A reporter without output."""

    live = False

    def line(self, subject: str, message: str) -> None:
        """Print nothing."""

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Print nothing."""

    def finished(self, subject: str) -> None:
        """Print nothing."""

    def expect(self, count: int) -> None:
        """Print nothing."""


@lru_cache(maxsize=4)
def _bucket(name: str, endpoint: str) -> Bucket:
    """Open a bucket for the life of this process: opening one takes longer than copying a small image."""
    from openstack_image_manager.mirror.s3 import Bucket

    return Bucket(name, endpoint)


def run_job(job: Job) -> Job:
    """Copy one version with the credentials of this machine; return `message` and `record`, or `error`.

    It is safe to run a job twice: correct objects stay.
    """
    from openstack_image_manager.mirror.copier import Copier
    from openstack_image_manager.mirror.provenance import create_prover

    if job["made_by"] != __version__:
        return {
            "error": f"the worker has version {__version__}, this machine has {job['made_by']}; "
            "install the same version on both"
        }
    stop = threading.Event()
    try:
        bucket = _bucket(job["bucket"], job["endpoint"])
        keys = Path(job["keys"]) if job["keys"] else None
        message, record = Copier(bucket, stop, NullReporter(), create_prover(keys, stop)).copy_version(read_job(job))
    except Error as error:
        if isinstance(error, StorageError):
            _bucket.cache_clear()  # credentials may differ when it is opened again; other threads still use this bucket
        return {"error": str(error)}
    return {"message": message, "record": asdict(record)}
