"""Check single values of a definition. Each function returns the value or raises ValueError."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from openstack_image_manager.dates import as_day
from openstack_image_manager.redaction import names_a_secret, without_secrets

# Base attributes of an image in Glance: no property can have their names.
RESERVED = frozenset(
    {"id", "name", "status", "visibility", "os_hidden", "protected", "owner", "tags", "members", "created_at"}
    | {"updated_at", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "min_disk", "min_ram"}
    | {"disk_format", "container_format", "self", "file", "schema", "locations", "direct_url", "stores"}
    # Names of its database, and what this tool calls os_hidden.
    | {"location", "deleted", "deleted_at", "hidden"}
)
# The source of images whose source is unknown: no host name ends in .invalid (RFC 6761).
UNKNOWN_SOURCE = "https://unknown.invalid/"
URL_SCHEMES = ("http", "https", "file")
MOST_BYTES = 65_535  # of a property's value in Glance's database
UNSUPPORTED_SCHEME = "ftp"  # definitions with such a URL are read, so that one of them does not stop all others
USE_HTTPS = "ftp is not supported and cannot be downloaded; use https"
_LOCAL_PATH = re.compile(r"(?i:file):(?!//)(\S+)")
_SWITCHES = ("", "true", "false", "yes", "no", "on", "off", "none", "required", "optional", "disabled")


def text(value: Any) -> Any:
    """Turn a YAML scalar of meta into the string Glance keeps: properties are strings only."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


def storable(value: str | None) -> str | None:
    """A text that Glance can keep."""
    if max(value or "", default="") > "\uffff":
        raise ValueError("contains a character that Glance cannot store, such as an emoji; remove it")
    return value


def property_value(value: str | None) -> str | None:
    """A value that a property can have."""
    size = len((value or "").encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise ValueError(f"has {size} bytes, Glance keeps at most {MOST_BYTES} of a property")
    return storable(value)


def url(value: str) -> str:
    """An address that can be asked. `file:images/disk.img` and `file:/images/disk.img` become `file:///…`: a path is
    relative to the current directory, as in the existing tool."""
    property_value(value)
    if path := _LOCAL_PATH.fullmatch(value):
        try:
            value = Path(os.path.abspath(unquote(path[1]))).as_uri()
        except (OSError, ValueError):  # the current directory is gone, or a NUL
            raise ValueError("is a path relative to a directory that does not exist; write file:///…") from None
    # The value may hold a password, so it is not shown.
    if not re.fullmatch(rf"(?i:{'|'.join((*URL_SCHEMES, UNSUPPORTED_SCHEME))})://\S+", value):
        raise ValueError(f"is not a URL; it must begin with {'://, '.join(URL_SCHEMES)}:// and hold no blanks")
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "file" or (parts.hostname and (parts.port or 1) > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is a URL with a wrong host or port")
    return value


def name(value: str) -> str:
    """A name that Glance can keep and a person can read."""
    if value != value.strip():
        raise ValueError("begins or ends with a blank; remove it")
    return part_of_name(value)


def part_of_name(value: str) -> str:
    """A part of a name that Glance can keep and a person can read."""
    if not value.isprintable():
        raise ValueError("contains an invisible character; remove it")
    storable(value)
    return value


def build_date(value: str) -> str:
    """A day, with or without a time."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?", value):
            datetime.fromisoformat(value)
            return value
    except ValueError:
        pass
    raise ValueError(f"'{value}' is not a date; write YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC)")


def is_future(value: str) -> bool:
    """True for a date after today, in UTC."""
    day = as_day(value)
    return day is not None and day > datetime.now(UTC).date()


def fingerprint(value: str) -> str:
    """The fingerprint of an OpenPGP key (version 4 or 6), in upper case."""
    if not re.fullmatch(r"[0-9a-fA-F]{40}([0-9a-fA-F]{24})?", value):
        raise ValueError(f"'{value}' is not a fingerprint: 40 or 64 hexadecimal digits")
    return value.upper()


def uuid(value: str) -> str:
    """A UUID, in lower case."""
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        raise ValueError(f"'{value}' is not a UUID like 6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f")
    return value.lower()


def property_name(value: str) -> str:
    """A name that a property can have."""
    if value in RESERVED or value.startswith(("os_glance_", "image_manager_")):
        raise ValueError("is not a valid property: the name is reserved for Glance or this tool; remove it")
    storable(value)
    return value


def like_secrets(meta: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Properties whose names say that they hold a secret: (property, message without the value)."""
    message = (
        "looks like a secret, and becomes a property that all who see the image can read; plans and reports show it "
        "too. Take it out"
    )
    return [
        (key, message)
        for key, value in meta.items()
        if (names_a_secret(key) and (value or "") not in _SWITCHES) or without_secrets(value or "") != (value or "")
    ]


# Defaults of models. Of `dict` and `list` themselves pydantic reads the signatures as source text,
# which takes longer than to make a model.
def empty_mapping() -> dict[str, Any]:
    """No entries."""
    return {}


def empty_list() -> list[Any]:
    """No elements."""
    return []
