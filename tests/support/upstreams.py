"""The world of small copies of download sites on loopback, and the stand-ins for signatures in it.

Every host is a site of its own. Images are a few bytes that begin like an image; signatures are a stand-in that names
the key, the time, and the digest of what is signed, so that each test can say what is signed by whom. What the sites
have is in rpm_sites, deb_sites and own_sites.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.upstreams.build import Build, Fetch, Signature
from openstack_image_manager.upstreams.newest import newest
from openstack_image_manager.upstreams.sites import Sites
from tests.support.documents import digest
from tests.support.site import TestSite

SIGNED_AT = "2026-08-01 10:00:00"
BEGIN, END = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n", "-----BEGIN PGP SIGNATURE-----\n"


class World:
    """All sites; `with World(directory) as world:`. `mirrors` sends requests for a host to its copy.

    `detached`, `clear` and `rsa` sign for the key of a fingerprint: with stand-ins, unless a test has real keys.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.detached: Callable[[bytes, str], bytes] = signature
        self.clear: Callable[[str, str], str] = clearsigned
        self.rsa: Callable[[bytes], bytes] | None = None
        self.sites: dict[str, TestSite] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def host(self, name: str) -> TestSite:
        """The copy of a host."""
        if name not in self.sites:
            folder = self.directory / name
            folder.mkdir(parents=True)
            self.sites[name] = self._stack.enter_context(serving(TestSite(folder)))
        return self.sites[name]

    @property
    def mirrors(self) -> dict[str, str]:
        """For Sites."""
        return {f"https://{name}/": f"{site.url}/" for name, site in self.sites.items()}

    def requests(self, method: str) -> list[str]:
        """The paths that were asked for with that method, on all hosts."""
        return [each.path for site in self.sites.values() for each in site.requests if each.method == method]


def signature(data: bytes, key: str) -> bytes:
    """The stand-in for a detached signature."""
    return f"{key.upper()} {digest(data)} {SIGNED_AT}\n".encode()


def clearsigned(text: str, key: str) -> str:
    """The stand-in for a text with its signature."""
    return BEGIN + text + END + signature(text.encode(), key).decode() + "-----END PGP SIGNATURE-----\n"


def verify(wanted: Signature, data: bytes, fetch: Fetch) -> tuple[bytes, str | None, str | None]:
    """The verifier of these tests: it believes what the stand-ins say."""
    if wanted.kind == "clearsigned":
        text, _, rest = data.decode().partition(BEGIN)[2].partition(END)
        data, told = text.encode(), rest.partition("\n")[0]
    else:
        if wanted.over in ("image", "unpacked-image"):
            data = fetch(wanted.subject)
        told = fetch(wanted.url or "").decode()
    key, signed, *moment = told.split()
    if signed != digest(data) or key not in wanted.keys:
        raise VerificationError("bad signature")
    return data, key, " ".join(moment)


def definition(distro: str, version: str | None, **fields: Any) -> Definition:
    """A definition without resolve, unless the fields have one."""
    meta = {"os_distro": distro, "os_version": version, "architecture": fields.pop("architecture", "x86_64")}
    meta = {key: value for key, value in meta.items() if value}
    fields = {"name": f"{distro} {version}", "format": "qcow2", "versions": [], "meta": meta, **fields}
    return Definition.model_validate(fields)


def ask(world: World, wanted: Definition, **options: Any) -> Build:
    """The newest build that these sites have. `options`: those of Sites."""
    return newest(wanted, Sites(mirrors=world.mirrors, **options), verify)
