"""Which way bytes take: every combination of what is asked for, what can be verified and what the cloud offers."""

from __future__ import annotations

import pytest

from openstack_image_manager.apply.import_method import ChosenMethod, ImportOptions, choose
from openstack_image_manager.defaults import ImportMethod
from openstack_image_manager.definitions.model import Version
from openstack_image_manager.errors import CloudError, VerificationError
from openstack_image_manager.redaction import has_secrets
from openstack_image_manager.transfer.checksum_files import copy_checksum
from openstack_image_manager.transfer.unpack import PACKED

PLAIN = "https://x/1.img"
SHA256, SHA512 = f"sha256:{'a' * 64}", f"sha512:{'a' * 128}"
BOTH = frozenset({"web-download", "glance-direct"})
WEB, DIRECT, COPY = frozenset({"web-download"}), frozenset({"glance-direct"}), frozenset({"copy-image"})
NONE: frozenset[str] = frozenset()

BEFORE = "before"
AFTER = "after"
NOT_CHECKED = "none"


def way(
    method: ImportMethod = "auto",
    checksum: str | None = None,
    converts: bool | None = None,
    methods: frozenset[str] = BOTH,
    url: str = PLAIN,
    verify: bool | None = None,
) -> ChosenMethod:
    version = Version(version="1", url=url, checksum=checksum)
    return choose(version, methods, converts, ImportOptions(method=method, verify=verify))


def promise(checksum: str | None, when: str) -> str:
    return when if when == NOT_CHECKED else f"{checksum} {when} import"


@pytest.mark.parametrize(
    ("method", "checksum", "converts", "verify", "chosen", "when"),
    [
        # Nothing to verify: Glance fetches, as that costs nothing here.
        ("auto", None, None, None, "web-download", NOT_CHECKED),
        ("auto", None, False, None, "web-download", NOT_CHECKED),
        ("auto", None, True, None, "web-download", NOT_CHECKED),
        ("auto", None, None, False, "web-download", NOT_CHECKED),
        # A checksum is verified here, unless Glance can tell it afterwards.
        ("auto", SHA256, None, None, "glance-direct", BEFORE),
        ("auto", SHA256, False, None, "glance-direct", BEFORE),
        ("auto", SHA256, True, None, "glance-direct", BEFORE),
        ("auto", SHA512, None, None, "glance-direct", BEFORE),
        ("auto", SHA512, True, None, "glance-direct", BEFORE),
        ("auto", SHA512, False, None, "web-download", AFTER),
        ("auto", SHA512, False, True, "web-download", AFTER),
        ("auto", SHA256, False, True, "glance-direct", BEFORE),
        # Not asked to verify: as if there were no checksum.
        ("auto", SHA256, None, False, "web-download", NOT_CHECKED),
        ("auto", SHA512, False, False, "web-download", NOT_CHECKED),
        # A method that is asked for.
        ("glance-direct", None, None, None, "glance-direct", NOT_CHECKED),
        ("glance-direct", SHA256, True, None, "glance-direct", BEFORE),
        ("glance-direct", SHA512, False, True, "glance-direct", BEFORE),
        ("glance-direct", SHA256, None, False, "glance-direct", NOT_CHECKED),
        ("web-download", None, None, None, "web-download", NOT_CHECKED),
        ("web-download", SHA512, False, None, "web-download", AFTER),
        ("web-download", SHA512, False, True, "web-download", AFTER),
        ("web-download", SHA256, None, False, "web-download", NOT_CHECKED),
        ("web-download", SHA512, True, False, "web-download", NOT_CHECKED),
    ],
)
def test_ways_in_a_cloud_that_offers_both(
    method: ImportMethod, checksum: str | None, converts: bool | None, verify: bool | None, chosen: str, when: str
) -> None:
    assert way(method, checksum, converts, verify=verify) == ChosenMethod(chosen, promise(checksum, when))


@pytest.mark.parametrize(
    ("url", "checksum", "at_mirror", "wanted"),
    [
        (PLAIN, SHA512, SHA256, SHA512),  # the same file: what is promised for it counts
        (PLAIN, SHA512, None, SHA512),
        (PLAIN, None, SHA256, SHA256),
        (f"{PLAIN}.xz", SHA512, SHA256, SHA256),
        (f"{PLAIN}.xz", SHA512, None, None),  # that of the packed file, for all we know
        (PLAIN, None, None, None),
    ],
)
def test_what_a_copy_must_have(url: str, checksum: str | None, at_mirror: str | None, wanted: str | None) -> None:
    assert copy_checksum(Version(version="1", url=url, checksum=checksum, mirror_checksum=at_mirror)) == wanted


def test_a_copy_whose_digest_is_known_is_not_fetched_by_glance() -> None:
    """Glance would ask the mirror first, and compare nothing."""
    mirrored = Version(version="1", url=PLAIN, mirror_url="https://m/1.img", mirror_checksum=SHA512)
    assert choose(mirrored, BOTH, False, ImportOptions()).name == "glance-direct"
    assert choose(mirrored, BOTH, False, ImportOptions(verify=False)).name == "web-download"
    without_mirror = mirrored.model_copy(update={"mirror_url": None})
    assert choose(without_mirror, BOTH, False, ImportOptions()).name == "web-download"
    with pytest.raises(VerificationError, match="cannot be verified after web-download"):
        choose(mirrored, WEB, False, ImportOptions(method="web-download"))


@pytest.mark.parametrize(("checksum", "converts"), [(SHA256, None), (SHA256, False), (SHA512, None), (SHA512, True)])
@pytest.mark.parametrize("verify", [None, True])
def test_a_web_download_that_could_not_be_verified_is_refused(
    checksum: str, converts: bool | None, verify: bool | None
) -> None:
    with pytest.raises(VerificationError, match=r"cannot be verified after web-download.*--no-verify-checksum"):
        way("web-download", checksum, converts, verify=verify)


@pytest.mark.parametrize("method", ["auto", "web-download", "glance-direct"])
def test_who_insists_on_verification_needs_a_checksum(method: ImportMethod) -> None:
    with pytest.raises(VerificationError, match=r"has no checksum to verify \(--verify-checksum\)"):
        way(method, None, False, verify=True)


@pytest.mark.parametrize(
    ("method", "checksum", "methods", "chosen"),
    [
        ("auto", None, DIRECT, "glance-direct"),
        ("auto", None, WEB, "web-download"),
        ("auto", SHA256, DIRECT, "glance-direct"),
        ("glance-direct", SHA256, DIRECT, "glance-direct"),
        ("web-download", None, WEB, "web-download"),
    ],
)
def test_ways_in_a_cloud_that_offers_one(
    method: ImportMethod, checksum: str | None, methods: frozenset[str], chosen: str
) -> None:
    assert way(method, checksum, methods=methods).name == chosen


@pytest.mark.parametrize(
    ("method", "checksum", "methods", "message"),
    [
        ("auto", None, NONE, "needs the import method glance-direct, but this cloud offers no method at all"),
        ("auto", None, COPY, "needs the import method glance-direct, but this cloud offers copy-image"),
        ("auto", SHA256, WEB, "needs the import method glance-direct, but this cloud offers web-download"),
        ("glance-direct", None, WEB | COPY, "glance-direct, but this cloud offers copy-image, web-download"),
        ("web-download", None, DIRECT, "needs the import method web-download, but this cloud offers glance-direct"),
        ("web-download", SHA256, DIRECT, "needs the import method web-download, but this cloud offers glance-direct"),
    ],
)
def test_ways_that_the_cloud_does_not_offer(
    method: ImportMethod, checksum: str | None, methods: frozenset[str], message: str
) -> None:
    with pytest.raises(CloudError, match=message):
        way(method, checksum, methods=methods)


@pytest.mark.parametrize(
    "url",
    [
        "file:///srv/1.img",
        "FILE:///srv/1.img",
        *(f"https://x/1.img{suffix}" for suffix in PACKED),
        "HTTPS://X/1.IMG.XZ",
        "https://x/1.qcow2.gz?token=1#part",
    ],
)
def test_what_glance_cannot_fetch_or_unpack_comes_through_here(url: str) -> None:
    for checksum, converts in ((None, None), (SHA512, False)):
        assert way("auto", checksum, converts, url=url).name == "glance-direct"
        assert way("glance-direct", checksum, converts, url=url).name == "glance-direct"
        with pytest.raises(CloudError, match=r"web-download cannot fetch this.*use glance-direct"):
            way("web-download", checksum, converts, url=url)
    with pytest.raises(CloudError, match="needs the import method glance-direct"):
        way("auto", url=url, methods=WEB)


@pytest.mark.parametrize("url", ["http://x/1.img", "HTTPS://X/1.IMG", "https://x/gz", "https://x/1.img?file=.gz"])
def test_what_glance_can_fetch(url: str) -> None:
    assert way(url=url) == ChosenMethod("web-download", "none")


@pytest.mark.parametrize(
    ("mirror_url", "methods", "method", "chosen"),
    [
        ("file:///srv/1.img", BOTH, "auto", "glance-direct"),
        ("FILE:///srv/1.img", BOTH, "auto", "glance-direct"),
        ("file:///srv/1.img", WEB, "auto", "web-download"),  # from the upstream
        ("file:///srv/1.img", BOTH, "web-download", "web-download"),
        ("https://mirror/1.img", BOTH, "auto", "web-download"),
    ],
)
def test_a_mirror_on_this_disk_goes_through_here(
    mirror_url: str, methods: frozenset[str], method: ImportMethod, chosen: str
) -> None:
    version = Version(version="1", url=PLAIN, mirror_url=mirror_url)
    assert choose(version, methods, None, ImportOptions(method=method)).name == chosen


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://x/1.img", False),
        ("https://x/1.img?build=1", False),
        ("https://x/1.img?k=1", True),
        ("https://x/1.img#1", True),
        ("https://robot:pw@x/1.img", True),
        ("https://x/1.img?a=1&X-Amz-Signature=abc", True),
        ("https://x/1.img?token=abc", True),
    ],
)
def test_a_url_with_secrets_goes_through_this_machine(url: str, secret: bool) -> None:
    assert has_secrets(url) == secret
    assert way(url=url).name == ("glance-direct" if secret else "web-download")
    mirrored = Version(version="1", url=PLAIN, mirror_url=url)
    assert (choose(mirrored, BOTH, None, ImportOptions()).name == "glance-direct") == secret
    if secret:
        with pytest.raises(CloudError, match="a query that may hold a secret"):
            way("web-download", url=url)
    else:
        assert way("web-download", url=url).name == "web-download"
