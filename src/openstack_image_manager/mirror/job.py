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
from openstack_image_manager.mirror.plan import Judged, Stored, Verdict
from openstack_image_manager.mirror.record import Record

if TYPE_CHECKING:
    from openstack_image_manager.mirror.s3 import Bucket

# Of a definition, what a copy needs; the password of its user is not among it.
_FIELDS = {"name", "shortname", "format", "separator", "meta", "resolve", "multi"}
Job = dict[str, Any]


def may_travel(judged: Judged) -> bool:
    """True if its addresses hold no passwords or tokens."""
    version = judged.item.version
    return all(url is None or public_url(url) == url for url in (version.url, version.checksum_file))


def job(judged: Judged, where: Target, endpoint: str, keys: str | None) -> Job:
    """The work as plain values. `keys`: a directory with keys for signatures, on the machine that does it."""
    item, stored = judged.item, judged.stored
    definition = item.definition.model_dump(mode="json", include=_FIELDS, exclude_none=True)
    lying = None
    if stored:
        lying = {**asdict(stored), "modified": stored.modified.isoformat()}
    return {
        "made_by": __version__,
        "definition": {**definition, "versions": []},
        "version": item.version.model_dump(mode="json", exclude_none=True, exclude={"mirror_url"}),
        "key": item.key,
        "verdict": str(judged.verdict),
        "stored": lying,
        "bucket": where.bucket,
        "endpoint": public_url(endpoint),
        "keys": keys,
    }


def judged_of(given: Job) -> Judged:
    """The work again."""
    definition = Definition.model_validate(given["definition"])
    item = Item(definition, Version.model_validate(given["version"]), given["key"])
    stored = None
    if lying := given["stored"]:
        record = Record(**lying["record"]) if lying["record"] else None
        stored = Stored(lying["key"], lying["size"], datetime.fromisoformat(lying["modified"]), record, lying["ours"])
    return Judged(item, Verdict(given["verdict"]), "", stored)


def answer_of(given: Job) -> tuple[str, Record]:
    """What was done, and the record. Raises Error with what went wrong there."""
    if "error" in given:
        raise Error(given["error"])
    return given["message"], Record(**given["record"])


class Silent:
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


def carry_out(given: Job) -> Job:
    """Bring in one version, with the credentials of this machine's environment: `message` and `record`, or `error`. May
    be done twice: what is right already stays."""
    from openstack_image_manager.mirror.copier import Copier
    from openstack_image_manager.mirror.provenance import prover

    if given["made_by"] != __version__:
        return {"error": f"the worker has version {__version__}, this is {given['made_by']}; install the same there"}
    stop = threading.Event()
    try:
        bucket = _bucket(given["bucket"], given["endpoint"])
        keys = Path(given["keys"]) if given["keys"] else None
        message, record = Copier(bucket, stop, Silent(), prover(keys, stop)).bring(judged_of(given))
    except Error as error:
        if isinstance(error, StorageError):
            _bucket.cache_clear()  # credentials may be others when it is opened again; other threads still use this one
        return {"error": str(error)}
    return {"message": message, "record": asdict(record)}
