"""Notice files that an upstream has renamed: a resolver that no longer fits finds old builds and no error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from openstack_image_manager.upstreams.candidates import is_prerelease

MOST_SHOWN = 3  # names in the warning
_ARCHITECTURES = {
    "x86_64_v2": "x86_64_v2",
    "x86_64_v3": "x86_64_v3",
    "x86_64": "x86_64",
    "x86-64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "ppc64le": "ppc64le",
    "ppc64el": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
_ARCHITECTURE = re.compile("|".join(_ARCHITECTURES))
_NUMBERS = re.compile(r"\d{1,18}(?:\.\d{1,18})*")  # int() refuses longer ones at some point
_WORDS = re.compile(r"[a-z]{2,}")  # not the letter of r2 and v1
_SUFFIX = re.compile(r"(?:\.[a-z][a-z0-9]{0,8})*/?$")
_MOST_MISSING = 2  # words that a new name may lack; other words are those of other images, such as LVM and tiny


def near_misses(
    newest: str, unmatched: Iterable[str], known: Mapping[str, str], prereleases: bool = False
) -> list[str]:
    """Return the unmatched names that could be of a newer build of the same image, the most similar first.

    They have the suffix and the architecture of the name of the `newest` build that was found, a higher version, and
    no word that this does not have. `known`: the variables of the definition; a number of theirs in `newest`, such as
    that of the series, is in all of them.
    """
    own = _parts(newest)
    series = [value for value in known.values() if any(map(str.isdigit, value)) and value in newest]
    series = [value for value in series if not _ARCHITECTURE.search(value)]
    near: list[tuple[int, str]] = []
    for name in unmatched:
        suffix, architectures, words, numbers = _parts(name)
        missing = own[2] - words
        if (
            (suffix, architectures) == own[:2]
            and numbers > own[3]
            and words <= own[2]
            and len(missing) <= _MOST_MISSING
            and bool(words & own[2] or not own[2])
            and all(value in name for value in series)
            and (prereleases or not is_prerelease(name))
        ):
            near.append((len(missing), name))
    return list(dict.fromkeys(name for _, name in sorted(near)))


def near_miss_warning(names: list[str]) -> str | None:
    """Return the warning about names that match does not fit; None if there are none."""
    if not names:
        return None
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return (
        f"the upstream has files with a higher version that match does not fit: {', '.join(names[:MOST_SHOWN])}{more}; "
        "if it has renamed its images, adjust the resolver"
    )


def _parts(name: str) -> tuple[str, list[str], frozenset[str], list[tuple[int, ...]]]:
    """Return the suffix, the architectures, the words and the numbers of a name."""
    lower = name.lower()
    architectures = [_ARCHITECTURES[found] for found in _ARCHITECTURE.findall(lower)]
    rest = _ARCHITECTURE.sub(" ", lower)
    suffix = _SUFFIX.search(rest)
    ending = suffix.group() if suffix else ""
    body = rest.removesuffix(ending)
    numbers = [tuple(map(int, text.split("."))) for text in _NUMBERS.findall(body)]
    return ending, architectures, frozenset(_WORDS.findall(body)), numbers
