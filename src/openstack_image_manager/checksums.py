"""PURE: reading checksum files of every kind that distributions publish."""

from __future__ import annotations

import re

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.format import DIGEST_LENGTHS, Checksum

_HEX = r"(?P<digest>[0-9a-fA-F]{32,128})"
_SECTION = re.compile(r"#\s*(?P<algorithm>MD5|SHA1|SHA224|SHA256|SHA384|SHA512) HASH\s*$")
_BSD = re.compile(rf"(?P<algorithm>[A-Z0-9-]+) \((?P<name>.+)\) = {_HEX}$")
_COREUTILS = re.compile(rf"{_HEX}[ \t]+\*?(?P<name>\S.*)$")
_BARE = re.compile(rf"{_HEX}$")


def parse(text: str) -> dict[str, Checksum]:
    """Names and digests of a checksum file; a file that holds nothing but one digest has it under the name ''.

    Reads coreutils lines (`HEX  NAME`, `HEX *NAME`), BSD lines (`SHA256 (NAME) = HEX`), sections (`# SHA512 HASH`)
    and bare digests. Where a name has digests of several algorithms the longest stands. Raises VerificationError when
    one name has two digests of one algorithm: nobody can tell which is right.
    """
    found: dict[tuple[str, str], str] = {}
    section = None
    lines = [line.strip() for line in text.splitlines()]
    for line in lines:
        if heading := _SECTION.match(line):
            section = heading["algorithm"].lower()
            continue
        match = _BSD.match(line) or _COREUTILS.match(line)
        if match is None and line and len([each for each in lines if each]) == 1:
            match = _BARE.match(line)
        if match is None:
            continue
        groups = match.groupdict()
        digest = groups["digest"].lower()
        by_length = {length: name for name, length in DIGEST_LENGTHS.items()}
        algorithm = (groups.get("algorithm") or section or by_length.get(len(digest), "")).lower().replace("-", "")
        if DIGEST_LENGTHS.get(algorithm) != len(digest):
            continue
        name = (groups.get("name") or "").removeprefix("./")
        if found.setdefault((name, algorithm), digest) != digest:
            raise VerificationError(f"the checksum file has two different {algorithm} digests for {name or 'the file'}")
    best: dict[str, Checksum] = {}
    for (name, algorithm), digest in found.items():
        if name not in best or len(digest) > len(best[name].digest):
            best[name] = Checksum(algorithm, digest)
    return best


def find(text: str, name: str) -> Checksum:
    """The digest of the file `name`. Raises VerificationError when the text has none, or several that fit."""
    entries = parse(text)
    if name in entries:
        return entries[name]
    by_basename = {entry: checksum for entry, checksum in entries.items() if entry.rpartition("/")[2] == name}
    if len(by_basename) == 1:
        return next(iter(by_basename.values()))
    if by_basename:
        raise VerificationError(f"the checksum file has several files called {name}: {', '.join(sorted(by_basename))}")
    if set(entries) == {""}:
        return entries[""]
    raise VerificationError(f"the checksum file has no digest of {name}")
