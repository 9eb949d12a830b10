"""PURE: reading checksum files of every kind that distributions publish."""

from __future__ import annotations

import re

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.format import DIGEST_LENGTHS, Checksum

_HEX = r"(?P<digest>[0-9a-fA-F]{32,128})"
_SECTION = re.compile(r"#\s*(?P<algorithm>MD5|SHA1|SHA224|SHA256|SHA384|SHA512) HASH")
_BSD = re.compile(rf"(?P<algorithm>[A-Z0-9-]+) \((?P<name>.+)\) = {_HEX}")
_COREUTILS = re.compile(rf"{_HEX}[ \t]+\*?(?P<name>\S.*)")
_BARE = re.compile(_HEX)
_BY_LENGTH = {length: algorithm for algorithm, length in DIGEST_LENGTHS.items()}


def parse(text: str) -> dict[str, Checksum]:
    """Names and digests of a checksum file; a file that holds nothing but one digest has it under the name ''.

    Reads coreutils lines (`HEX  NAME`, `HEX *NAME`), BSD lines (`SHA256 (NAME) = HEX`), sections (`# SHA512 HASH`)
    and bare digests. Where a name has digests of several algorithms the longest stands. Raises VerificationError when
    one name has two digests of one algorithm: nobody can tell which is right.
    """
    # Not splitlines(): it also splits at control characters, which would cut a name short.
    lines = [line for each in text.split("\n") if (line := each.strip())]
    if len(lines) == 1 and (bare := _BARE.fullmatch(lines[0])):
        checksum = _checksum(bare["digest"], None)
        return {"": checksum} if checksum else {}
    found: dict[tuple[str, str], Checksum] = {}
    section = None
    for line in lines:
        if heading := _SECTION.fullmatch(line):
            section = heading["algorithm"]
        elif match := _BSD.fullmatch(line) or _COREUTILS.fullmatch(line):
            name = match["name"].removeprefix("./")
            checksum = _checksum(match["digest"], match.groupdict().get("algorithm") or section)
            if checksum is None or not name:
                continue
            if found.setdefault((name, checksum.algorithm), checksum) != checksum:
                raise VerificationError(f"the checksum file has two different {checksum.algorithm} digests of {name}")
    best: dict[str, Checksum] = {}
    for (name, _), checksum in found.items():
        if name not in best or len(checksum.digest) > len(best[name].digest):
            best[name] = checksum
    return best


def _checksum(digest: str, algorithm: str | None) -> Checksum | None:
    """None where the digest's length is not that of the algorithm, or of any."""
    known = algorithm.lower().replace("-", "") if algorithm else _BY_LENGTH.get(len(digest), "")
    return Checksum(known, digest.lower()) if DIGEST_LENGTHS.get(known) == len(digest) else None


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
    if "" in entries:
        return entries[""]
    raise VerificationError(f"the checksum file has no digest of {name}")
