"""Read checksum files of every kind that distributions publish."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from urllib.parse import unquote, urlsplit

from openstack_image_manager.checksum import DIGEST_LENGTHS, Checksum
from openstack_image_manager.definitions.model import Version
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.unpack import is_packed

_HEX = r"(?P<digest>[0-9a-fA-F]{32,128})"
_SECTION = re.compile(r"#\s*(?P<algorithm>MD5|SHA1|SHA224|SHA256|SHA384|SHA512) HASH")
_BSD = re.compile(rf"(?P<algorithm>[A-Z0-9-]+) \((?P<name>.+)\) = {_HEX}")
_COREUTILS = re.compile(rf"{_HEX}[ \t]+\*?(?P<name>\S.*)")
_BARE = re.compile(_HEX)
_SIZE = re.compile(r"#\s*(?P<name>\S.*): (?P<size>[0-9]{1,18}) bytes")
# The same with digests in base64, which may have lost their padding.
_BASE64 = r"(?P<digest>[A-Za-z0-9+/]{22,86}={0,2})"
_ENCODINGS = {
    "hex": (_BSD, _COREUTILS, _BARE),
    "base64": tuple(re.compile(each.pattern.replace(_HEX, _BASE64)) for each in (_BSD, _COREUTILS, _BARE)),
}
_BY_LENGTH = {length: algorithm for algorithm, length in DIGEST_LENGTHS.items()}


def parse(text: str, algorithm: str | None = None, encoding: str = "hex") -> dict[str, Checksum]:
    """Names and digests of a checksum file; a file that holds nothing but one digest has it under the name ''.

    Reads coreutils lines (`HEX  NAME`, `HEX *NAME`), BSD lines (`SHA256 (NAME) = HEX`), sections (`# SHA512 HASH`)
    and bare digests, in hex or base64. Where a name has digests of several algorithms the longest stands, or only those
    of `algorithm`. Raises VerificationError when one name has two digests of one algorithm: nobody can tell which is
    right.
    """
    bsd, coreutils, single = _ENCODINGS[encoding]
    # Not splitlines(): it also splits at control characters, which would cut a name short.
    lines = [line for each in text.split("\n") if (line := each.strip())]
    if len(lines) == 1 and (bare := single.fullmatch(lines[0])):
        checksum = _checksum(bare["digest"], None, encoding)
        return {"": checksum} if checksum and algorithm in (None, checksum.algorithm) else {}
    found: dict[tuple[str, str], Checksum] = {}
    section = None
    for line in lines:
        if heading := _SECTION.fullmatch(line):
            section = heading["algorithm"]
        elif match := bsd.fullmatch(line) or coreutils.fullmatch(line):
            name = match["name"].removeprefix("./")
            checksum = _checksum(match["digest"], match.groupdict().get("algorithm") or section, encoding)
            if checksum is None or not name or algorithm not in (None, checksum.algorithm):
                continue
            if found.setdefault((name, checksum.algorithm), checksum) != checksum:
                raise VerificationError(f"the checksum file has two different {checksum.algorithm} digests of {name}")
    best: dict[str, Checksum] = {}
    for (name, _), checksum in found.items():
        if name not in best or len(checksum.digest) > len(best[name].digest):
            best[name] = checksum
    return best


def _checksum(digest: str, algorithm: str | None, encoding: str) -> Checksum | None:
    """None where the digest's length is not that of the algorithm, or of any."""
    if encoding == "base64":
        try:
            bare = digest.rstrip("=")
            digest = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).hex()
        except binascii.Error:
            return None
    known = algorithm.lower().replace("-", "") if algorithm else _BY_LENGTH.get(len(digest), "")
    return Checksum(known, digest.lower()) if DIGEST_LENGTHS.get(known) == len(digest) else None


def sizes(text: str) -> dict[str, int]:
    """The sizes in bytes that comments (`# NAME: N bytes`) tell. Raises VerificationError when one name has two."""
    found: dict[str, int] = {}
    for line in text.split("\n"):
        if match := _SIZE.fullmatch(line.strip()):
            size = int(match["size"])
            if found.setdefault(match["name"], size) != size:
                raise VerificationError(f"the checksum file has two different sizes of {match['name']}")
    return found


def find(text: str, name: str, algorithm: str | None = None, encoding: str = "hex") -> Checksum:
    """The digest of the file `name`. Raises VerificationError when the text has none, or several that fit."""
    entries = parse(text, algorithm, encoding)
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


def with_checksum(
    version: Version,
    text: str | None = None,
    *,
    deadline: float | None = None,
    stop: threading.Event | None = None,
) -> Version:
    """The version with the checksum from its checksum file, where it names the file only. `text`: the file, where it
    was fetched already; `deadline`, `stop`: see `fetch_text`. Raises FetchError, VerificationError, Interrupted."""
    if version.checksum or not version.checksum_file:
        return version
    from openstack_image_manager.transfer.download import fetch_text

    if text is None:
        text = fetch_text(version.checksum_file, deadline=deadline, stop=stop)
    checksum = find(text, unquote(urlsplit(version.url).path.rpartition("/")[2]))
    return version.model_copy(update={"checksum": str(checksum)})


def copy_checksum(version: Version) -> str | None:
    """The checksum that the bytes at `mirror_url` must have; None where the definition does not tell. A mirror
    holds what was in a packed file; of one that is not packed, `checksum` counts whatever `mirror_checksum` says."""
    if version.checksum and not is_packed(version.url):
        return version.checksum
    return version.mirror_checksum
