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
    """One build, as a step found it: `variables` hold also what is not repeated in the other fields.

    `name` is what is sorted by where nothing else is said. `source` is the document that tells the checksum.
    """

    name: str
    variables: Mapping[str, str]
    checksum: Checksum | None = None
    size: int | None = None
    source: str | None = None


def is_prerelease(version: str) -> bool:
    """True for alpha, beta, rc and dev versions, whatever stands around the word: `1.14.0-beta.1`, `41 Beta`."""
    return bool(_PRERELEASE.search(version))


def order(version: str) -> tuple[Any, ...]:
    """The key to sort versions by: their natural order, and a release after its own pre-releases."""
    mark = _PRERELEASE.search(version)
    if not mark:
        return version_key(version), True, ()
    return version_key(version[: mark.start()].rstrip("-~. _+")), False, version_key(version[mark.start() :].lower())


def newest_first(keyed: Iterable[tuple[str, Candidate]]) -> list[tuple[str, Candidate]]:
    """Candidates by what they are sorted by, each of them once. Raises VerificationError when one version stands for
    several files: nobody can tell which is meant."""
    found: dict[str, Candidate] = {}
    for key, candidate in keyed:
        before = found.setdefault(key, candidate)
        if before != candidate:
            raise VerificationError(
                f"two different builds are called {key}: {_shown(before)} and {_shown(candidate)}; "
                "narrow match, or make version distinguish them"
            )
    return sorted(found.items(), key=lambda item: order(item[0]), reverse=True)


def _shown(candidate: Candidate) -> str:
    url = public_url(candidate.variables.get("url", ""))
    return " ".join(filter(None, (candidate.name if candidate.name != url else "", url, str(candidate.checksum or ""))))
