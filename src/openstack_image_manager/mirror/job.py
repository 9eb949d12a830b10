"""One version as plain values, and what is done with it: the same in this process and on any other machine.

Nothing secret is among these values: each machine has its own credentials in its environment.
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

# Of a definition, what a copy needs; the password of its user is not among it.
_FIELDS = {"name", "shortname", "format", "separator", "meta", "resolve", "multi"}
Job = dict[str, Any]


def can_be_sent(comparison: Comparison) -> bool:
    """True if its addresses hold no passwords or tokens."""
    version = comparison.item.version
    return all(url is None or public_url(url) == url for url in (version.url, version.checksum_file))


def create_job(comparison: Comparison, target: Target, endpoint: str, keys: str | None) -> Job:
    """The work as plain values. `keys`: a directory with keys for signatures, on the machine that does it."""
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


def read_job(given: Job) -> Comparison:
    """The work again."""
    definition = Definition.model_validate(given["definition"])
    item = Item(definition, Version.model_validate(given["version"]), given["key"])
    stored = None
    if stored_object := given["stored"]:
        record = Record(**stored_object["record"]) if stored_object["record"] else None
        stored = StoredObject(
            stored_object["key"],
            stored_object["size"],
            datetime.fromisoformat(stored_object["modified"]),
            record,
            stored_object["is_own"],
        )
    return Comparison(item, Verdict(given["verdict"]), "", stored)


def read_answer(given: Job) -> tuple[str, Record]:
    """What was done, and the record. Raises Error with what went wrong there."""
    if "error" in given:
        raise Error(given["error"])
    return given["message"], Record(**given["record"])


class NullReporter:
    """A reporter that nobody listens to."""

    live = False

    def line(self, subject: str, message: str) -> None:
        """Not told."""

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Not told."""

    def finished(self, subject: str) -> None:
        """Not told."""

    def expect(self, count: int) -> None:
        """Not told."""


@lru_cache(maxsize=4)
def _bucket(name: str, endpoint: str) -> Bucket:
    """The bucket, open as long as this process: to open it takes longer than to send a small image."""
    from openstack_image_manager.mirror.s3 import Bucket

    return Bucket(name, endpoint)


def run_job(given: Job) -> Job:
    """Bring in one version, with the credentials of this machine's environment: `message` and `record`, or `error`. May
    be done twice: what is right already stays."""
    from openstack_image_manager.mirror.copier import Copier
    from openstack_image_manager.mirror.provenance import create_prover

    if given["made_by"] != __version__:
        return {
            "error": f"the worker has version {__version__}, this machine has {given['made_by']}; "
            "install the same version on both"
        }
    stop = threading.Event()
    try:
        bucket = _bucket(given["bucket"], given["endpoint"])
        keys = Path(given["keys"]) if given["keys"] else None
        message, record = Copier(bucket, stop, NullReporter(), create_prover(keys, stop)).copy_version(read_job(given))
    except Error as error:
        if isinstance(error, StorageError):
            _bucket.cache_clear()  # credentials may be others when it is opened again; other threads still use this one
        return {"error": str(error)}
    return {"message": message, "record": asdict(record)}
