"""Write values of definitions as YAML that loads as the same values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from openstack_image_manager.definitions.editing.style import scalar
from openstack_image_manager.definitions.fields import KINDS
from openstack_image_manager.definitions.values import UNKNOWN_SOURCE
from openstack_image_manager.definitions.yaml_tree import Kind
from openstack_image_manager.redaction import printable

PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
WORDS = ("no", "on", "yes", "off", "true", "false", "null")  # not texts in YAML 1.1
NO_ADDRESS = "# the URL is unknown; add it, or the image cannot be imported again"


def text(items: Iterable[Mapping[str, Any]], head: Sequence[str] = ()) -> str:
    """Format a file of definitions below comment lines."""
    lines = [*(f"# {printable(line)}".rstrip() for line in head), "---", "images:"]
    for item in items:
        lines += _mapping(item, "  - ", "    ")
        lines.append("")
    if lines[-1] == "images:":
        lines[-1] = "images: []"
    return "\n".join(lines).rstrip("\n") + "\n"


def _mapping(values: Mapping[str, Any], first: str, rest: str, meta: bool = False) -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        start = rest if lines else first
        name = _key(key)
        if isinstance(value, Mapping):
            lines += [f"{start}{name}:", *_mapping(value, f"{rest}  ", f"{rest}  ", meta=True)]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines.append(f"{start}{name}:")
            for item in value:
                lines += _mapping(item, f"{rest}  - ", f"{rest}    ")
        elif isinstance(value, list):
            lines.append(f"{start}{name}: [{', '.join(_scalar(item, 'text', True) for item in value)}]")
        else:
            if key == "url" and str(value).startswith(UNKNOWN_SOURCE):
                lines.append(f"{rest}{NO_ADDRESS}")
            lines.append(f"{start}{name}: {_value(key, value, meta)}")
    return lines


def _key(key: str) -> str:
    if PLAIN_KEY.fullmatch(key) and key.lower() not in WORDS:
        return key
    return scalar(key, "text", '"', True)


def _value(key: str, value: Any, meta: bool) -> str:
    # Quote every version, because the next one may need quotes.
    return _scalar(value, "meta" if meta else KINDS.get(key, "text"), False, "'" if key == "version" else None)


@lru_cache(4096, typed=True)  # 1 is not true
def _scalar(value: str | int | bool | None, kind: Kind, in_brackets: bool, style: str | None = None) -> str:
    return scalar(value, kind, style, in_brackets)
