"""Choose the newest of the builds that a step found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.definitions.naming import version_key
from openstack_image_manager.errors import VerificationError

_PRERELEASE = re.compile(r"(?i)(?<![a-z])(alpha|beta|rc|pre|preview|dev)(?![a-z])")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One build that a step found; `variables` also contain values that are not in the other fields.

    `name` is the default sort key. `source` is the document with the checksum.
    """

    name: str
    variables: Mapping[str, str]
    checksum: Checksum | None = None
    size: int | None = None
    source: str | None = None


def is_prerelease(version: str) -> bool:
    """Return True for alpha, beta, rc and dev versions, wherever the word is: `1.14.0-beta.1`, `41 Beta`."""
    return bool(_PRERELEASE.search(version))


def order(version: str) -> tuple[Any, ...]:
    """Return the sort key of a version: natural order, and a release after its own pre-releases."""
    mark = _PRERELEASE.search(version)
    if not mark:
        return version_key(version), True, ()
    return version_key(version[: mark.start()].rstrip("-~. _+")), False, version_key(version[mark.start() :].lower())


def newest_first(keyed: Iterable[tuple[str, Candidate]]) -> list[tuple[str, Candidate]]:
    """Sort candidates by their sort keys, without duplicates. Raises VerificationError if one version has several
    files, as the choice is ambiguous."""
    builds: dict[str, Candidate] = {}
    for key, candidate in keyed:
        before = builds.setdefault(key, candidate)
        if before != candidate:
            raise VerificationError(
                f"two different builds are called {key}: {_shown(before)} and {_shown(candidate)}; "
                "narrow match, or make version distinguish them"
            )
    return sorted(builds.items(), key=lambda item: order(item[0]), reverse=True)


def _shown(candidate: Candidate) -> str:
    url = public_url(candidate.variables.get("url", ""))
    return " ".join(filter(None, (candidate.name if candidate.name != url else "", url, str(candidate.checksum or ""))))
