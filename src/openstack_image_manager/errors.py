"""The only exceptions that reach a user, each as one readable message: where, what, what to do."""

import re
from typing import Any

from openstack_image_manager.redaction import public_url, redact


class Error(Exception):
    """A problem that a user can cause or fix. The command line ends with `exit_code`; metrics count it as `kind`, of
    the `cloud` that could not be looked at, where that is what ended the run."""

    exit_code = 1
    kind = "other"
    cloud: str | None = None


class UsageError(Error):
    """The command was called in a way that cannot work."""

    exit_code = 2
    kind = "usage"


class CloudError(Error):
    """The cloud refused, or cannot be reached. `status` is the HTTP status where there was one."""

    kind = "cloud"

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ImportFailedError(CloudError):
    """Glance could not import an image; it says why, and has ended with it."""


class UnknownCloudError(CloudError):
    """The configuration has no cloud of the name that was given."""

    exit_code = 2


class FetchError(Error):
    """A download failed for good, after bounded retries. `status` is the HTTP status where that was the reason."""

    kind = "download"

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RefusedRedirectError(FetchError):
    """A site redirected to where no request may go."""


class StorageError(Error):
    """The object storage refused, or cannot be reached. `code` is S3's name of the reason, where there was one."""

    kind = "storage"

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class UnknownBucketError(StorageError):
    """The object storage has no bucket of the name that was given."""

    exit_code = 2


class VerificationError(Error):
    """Bytes are not what the definition promises: checksum, format or safety."""

    kind = "verification"


class Interrupted(Error):
    """The user asked to stop."""

    exit_code = 130


KINDS = ("cloud", "download", "storage", "verification", "usage", "definition", "other")


_POOL = re.compile(r"^\w+\(host=[^)]*\): ")  # how urllib3 writes a connection or a pool, of whichever class


def reason(error: Exception | str) -> str:
    """The innermost reason in one line, without secrets: the libraries wrap it several times."""
    seen: Any = error
    while isinstance(seen, Exception):
        inner = getattr(seen, "reason", None) or next((a for a in seen.args if isinstance(a, Exception)), None)
        if not isinstance(inner, Exception):
            break
        seen = inner
    text = redact(getattr(seen, "strerror", None) or str(seen) or type(seen).__name__)
    line = " ".join(text.split())
    line = line.rpartition("object at 0x")[2].partition(">: ")[2] or line
    line = re.sub(r"\b\w+://[^\s'\"]+", lambda url: public_url(url.group()), line)
    return _POOL.sub("", line)
