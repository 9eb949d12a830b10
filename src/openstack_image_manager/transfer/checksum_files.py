"""Read the checksum files that distributions publish."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from openstack_image_manager.checksum import DIGEST_LENGTHS, Checksum
from openstack_image_manager.definitions.model import Version, public_url
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.unpack import is_packed

_HEX = r"(?P<digest>[0-9a-fA-F]{32,128})"
_SECTION = re.compile(r"#\s*(?P<algorithm>MD5|SHA1|SHA224|SHA256|SHA384|SHA512) HASH")
# BSD and OpenSSL, which writes one blank or none around the `=`, and SHA2-256.
_TAGGED = re.compile(rf"(?P<algorithm>[A-Za-z0-9-]+) ?\((?P<name>.+)\) ?= ?{_HEX}")
# coreutils; the mark of the mode is * or, in Perl's shasum and after one blank, ?. Others write the algorithm first.
_COREUTILS = re.compile(rf"(?:(?P<algorithm>[A-Za-z0-9-]+)(?::|[ \t]+))?{_HEX}(?:[ \t]\?|[ \t]+\*?)(?P<name>\S.*)")
_BARE = re.compile(_HEX)
_SIZE = re.compile(r"#\s*(?P<name>\S.*): (?P<size>[0-9]{1,18}) bytes")
# The same with digests in base64, which may have lost their padding.
_BASE64 = r"(?P<digest>[A-Za-z0-9+/]{22,86}={0,2})"
_HEX_PATTERNS = (_TAGGED, _COREUTILS, _BARE)
_ENCODINGS = {
    "hex": _HEX_PATTERNS,
    "base64": tuple(re.compile(pattern.pattern.replace(_HEX, _BASE64)) for pattern in _HEX_PATTERNS),
}
_BY_LENGTH = {length: algorithm for algorithm, length in DIGEST_LENGTHS.items()}
_SHOWN, _LONGEST = 3, 100  # names in a message, and their characters
Digests = dict[str, dict[str, Checksum]]  # by name and algorithm


def parse(text: str, algorithm: str | None = None, encoding: str = "hex") -> dict[str, Checksum]:
    """Names and digests of a checksum file; a digest without a name, or of the standard input, is under the name ''.

    Reads coreutils lines (`HEX  NAME`, `HEX *NAME`), BSD and OpenSSL lines (`SHA256 (NAME) = HEX`), `NAME HEX`,
    sections (`# SHA512 HASH`) and bare digests, in hex or base64. Where a name has digests of several algorithms, the
    longest one counts, or that of `algorithm`. Raises VerificationError when one name has two digests of one algorithm:
    the right one is unknown.
    """
    return {name: _longest(digests) for name, digests in _digests(text, algorithm, encoding).items()}


def _digests(text: str, algorithm: str | None, encoding: str) -> Digests:
    found: Digests = {}
    section = None
    # Not splitlines(): it also splits at control characters, which would cut a name short.
    for line in filter(None, map(str.strip, text.split("\n"))):
        if heading := _SECTION.fullmatch(line):
            section = heading["algorithm"]
            continue
        values = _fields(line, encoding)
        checksum = _checksum(values["digest"], values.get("algorithm") or section, encoding) if values else None
        if checksum is None or algorithm not in (None, checksum.algorithm) or values.get("name") == "./":
            continue
        name = values.get("name", "").removeprefix("./")
        name = "" if name == "-" else name
        named = found.setdefault(name, {})
        if named.setdefault(checksum.algorithm, checksum) != checksum:
            of = f"of {name}" if name else "and no names"
            raise VerificationError(f"the checksum file has two different {checksum.algorithm} digests {of}")
    return found


def _fields(line: str, encoding: str) -> dict[str, str]:
    """The digest of a line, its name and its algorithm, as far as it has them."""
    patterns = _ENCODINGS[encoding]
    for pattern in patterns:
        if match := pattern.fullmatch(line):
            return match.groupdict()
    # `NAME HEX`, `NAME: HEX` and `NAME = HEX`; a pattern would try every blank of a long line.
    name, *digest = line.rsplit(maxsplit=1)
    bare = patterns[-1].fullmatch(digest[0]) if digest else None
    return {"name": name.rstrip(" \t:="), "digest": bare["digest"]} if bare else {}


def _longest(digests: Mapping[str, Checksum]) -> Checksum:
    return max(digests.values(), key=lambda checksum: len(checksum.digest))


def _checksum(digest: str, algorithm: str | None, encoding: str) -> Checksum | None:
    """None where the length of the digest does not fit the algorithm, or any."""
    if encoding == "base64":
        try:
            bare = digest.rstrip("=")
            digest = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).hex()
        except binascii.Error:
            return None
    known = algorithm.lower().removeprefix("sha2-").replace("-", "") if algorithm else _BY_LENGTH.get(len(digest), "")
    known = f"sha{known}" if known.isdigit() else known
    return Checksum(known, digest.lower()) if DIGEST_LENGTHS.get(known) == len(digest) else None


def sizes(text: str) -> dict[str, int]:
    """The sizes in bytes from comments (`# NAME: N bytes`). Raises VerificationError when one name has two."""
    sizes_by_name: dict[str, int] = {}
    for line in text.split("\n"):
        if match := _SIZE.fullmatch(line.strip()):
            size = int(match["size"])
            if sizes_by_name.setdefault(match["name"], size) != size:
                raise VerificationError(f"the checksum file has two different sizes of {match['name']}")
    return sizes_by_name


def find(text: str, name: str, algorithm: str | None = None, encoding: str = "hex", url: str = "") -> Checksum:
    """The digest of the file `name` in the checksum file from `url`. Raises VerificationError when the text has none,
    or several that fit."""
    return _longest(find_all(text, name, algorithm, encoding, url))


def find_all(
    text: str, name: str, algorithm: str | None = None, encoding: str = "hex", url: str = ""
) -> Mapping[str, Checksum]:
    """All digests of the file `name` by algorithm. Raises VerificationError as `find` does.

    A digest without a name is that of the file, if the checksum file has nothing else; so is one under another name in
    a file that is called like the image (`disk.qcow2.sha256`).
    """
    try:
        digests = _digests(text, algorithm, encoding)
        if name in digests:
            return digests[name]
        for base_name in (_base_name, _without_size):
            fitting = {entry: found for entry, found in digests.items() if base_name(entry) == name}
            if len(fitting) == 1:
                return next(iter(fitting.values()))
            if fitting:
                raise VerificationError(
                    f"the checksum file has several files called {name}: {', '.join(sorted(fitting))}"
                )
        only = next(iter(digests)) if len(digests) == 1 else None
        if only == "" or (only and _is_sidecar(url, name)):
            return digests[only]
        raise VerificationError(f"the checksum file has no digest of {name}; {_what_to_write(digests)}")
    except VerificationError as error:
        raise VerificationError(f"{public_url(url)}: {error}") if url else error from None


def _base_name(entry: str) -> str:
    return re.split(r"[/\\]", entry)[-1]


def _without_size(entry: str) -> str:
    """`HEX  NAME SIZE`: the name."""
    words = entry.rsplit(maxsplit=1)
    return _base_name(words[0]) if len(words) == 2 and words[1].isdigit() else ""


def _is_sidecar(url: str, name: str) -> bool:
    return unquote(urlsplit(url).path.rpartition("/")[2]).startswith(f"{name}.")


def _what_to_write(digests: Digests) -> str:
    write = "give the version a checksum, or the checksums_url of a file that has it"
    names = [repr(name[:_LONGEST]) if name else "a digest without a name" for name in digests]
    if not names:
        return f"it has no digests at all: {write}"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"it has {', '.join(names[:_SHOWN])}{more}: {write}"


def with_checksum(
    version: Version,
    text: str | None = None,
    *,
    deadline: float | None = None,
    stop: threading.Event | None = None,
) -> Version:
    """The version with the checksum from its checksum file, where it has only the file. `text`: the file, if it is
    already fetched; `deadline`, `stop`: see `fetch_text`. Raises FetchError, VerificationError, Interrupted."""
    if version.checksum or not version.checksum_file:
        return version
    from openstack_image_manager.transfer.download import fetch_text

    if text is None:
        text = fetch_text(version.checksum_file, deadline=deadline, stop=stop)
    checksum = find(text, unquote(urlsplit(version.url).path.rpartition("/")[2]), url=version.checksum_file)
    return version.model_copy(update={"checksum": str(checksum)})


def copy_checksum(version: Version) -> str | None:
    """The checksum that the bytes at `mirror_url` must have; None: unknown. A mirror holds the unpacked image. Where
    the upstream is not packed, `checksum` counts, and `mirror_checksum` is ignored."""
    if version.checksum and not is_packed(version.url):
        return version.checksum
    return version.mirror_checksum
