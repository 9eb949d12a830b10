"""What a mirror must never do: publish a bad signature or damaged bytes, and delete what may still be needed."""

from __future__ import annotations

import hashlib
import json
import lzma
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from tests.support.gnupg import Gpg, gnupg
from tests.support.mirrors import KEY, Carried, carried, image, sha256

from openstack_image_manager.definitions.parser import read
from openstack_image_manager.mirror.copier import COPIED_BY_ANOTHER_RUN, Copier
from openstack_image_manager.mirror.directory import Directory
from openstack_image_manager.mirror.job import NullReporter
from openstack_image_manager.mirror.location import Item
from openstack_image_manager.mirror.mirror import copy
from openstack_image_manager.mirror.plan import Plan, compare
from openstack_image_manager.mirror.provenance import create_prover
from openstack_image_manager.mirror.record import decode

MEMO = ".mirror-unneeded.json"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Carried]:
    with carried(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gnupg() as made:
        yield made


def published(mirror: Carried) -> dict[str, bytes]:
    names = [name for name in mirror.files() if "SHA256SUMS" in name or name.startswith("streams/")]
    return {name: (mirror.tree / name).read_bytes() for name in names}


def test_an_expired_key_leaves_the_old_pair(mirror: Carried, gpg: Gpg) -> None:
    key = gpg.make("expiring")
    options = ("--sign-key", key)
    assert mirror.run(*options, GNUPGHOME=str(gpg.home))[0] == 0
    before = published(mirror)
    gpg.run("--quick-set-expire", key, "seconds=1")
    wait_until_expired(gpg, key)
    mirror.define(mirror.version("1", image("1", 2)), mirror.version("2", image("2")))
    code, text = mirror.run(*options, GNUPGHOME=str(gpg.home))
    assert (code, f"index: gpg cannot sign with {key}" in text) == (1, True), text
    assert published(mirror) == before


def wait_until_expired(gpg: Gpg, key: str) -> None:
    """Ask gpg until it calls the key expired; on a fast machine that is many times within the second."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = gpg.run("--with-colons", "--list-keys", key).decode().splitlines()
        if any(line.startswith("pub:e:") for line in lines):
            return
    raise AssertionError("the key does not expire")


def test_damage_stays_marked_until_it_is_replaced(mirror: Carried) -> None:
    assert mirror.run()[0] == 0
    good = (mirror.tree / KEY).read_bytes()
    (mirror.tree / KEY).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    (mirror.site.directory / "1.raw").unlink()
    assert mirror.run("--verify", "--dry-run")[0] == 0
    assert mirror.record()["damaged"] is None
    assert mirror.run("--verify")[0] == 1
    code, text = mirror.run()
    assert (code, f"MISMATCH    A 1  {KEY}: its bytes were damaged when they were verified at" in text) == (1, True), (
        text
    )
    assert mirror.products() == {}
    assert not (mirror.tree / "a/SHA256SUMS").exists()
    assert mirror.run("--filter", "nobody")[0] == 0
    assert mirror.products() == {}
    (mirror.tree / KEY).write_bytes(good)  # somebody has restored it
    code, text = mirror.run("--verify")
    assert (code, mirror.record()["damaged"], len(mirror.products())) == (0, None, 1), text


def test_grace_counts_from_the_day_an_object_became_unneeded(mirror: Carried) -> None:
    assert mirror.run()[0] == 0
    record = mirror.tree / f"{KEY}.mirror.json"
    record.write_text(json.dumps({**mirror.record(), "at": "2026-01-01T00:00:00+00:00"}))
    one = mirror.version("1", image("1", 2))
    mirror.define(mirror.version("2", image("2")))
    code, text = mirror.run("--prune")
    assert (code, (mirror.tree / KEY).exists(), "UNNEEDED" in text) == (0, True, False), text
    noted = json.loads((mirror.tree / MEMO).read_text())
    assert list(noted["unneeded"]) == [KEY]
    mirror.define(one, mirror.version("2", image("2")))
    assert mirror.run()[0] == 0
    assert not (mirror.tree / MEMO).exists()  # needed again
    mirror.define(mirror.version("2", image("2")))
    assert mirror.run()[0] == 0
    ago = datetime.now(UTC) - timedelta(days=8)
    (mirror.tree / MEMO).write_text(json.dumps({**noted, "unneeded": {KEY: ago.isoformat(), "x": "never"}}))
    code, text = mirror.run("--prune")
    assert (code, (mirror.tree / KEY).exists(), (mirror.tree / MEMO).exists()) == (0, False, False), text


def test_a_note_that_others_wrote_is_left_alone(mirror: Carried) -> None:
    assert mirror.run()[0] == 0
    (mirror.tree / MEMO).write_text("theirs\n")
    assert mirror.run()[0] == 0  # nothing is to be noted
    mirror.define(mirror.version("2", image("2")))
    code, text = mirror.run("--prune")
    message = f"unneeded objects: {MEMO}: a file of another owner is there; move it, or --grace cannot be counted\n"
    assert (code, message in text, (mirror.tree / KEY).exists()) == (1, True, True), text
    assert (mirror.tree / MEMO).read_text() == "theirs\n"
    (mirror.tree / MEMO).write_text("")
    assert mirror.run("--prune")[0] == 0
    assert list(json.loads((mirror.tree / MEMO).read_text())["unneeded"]) == [KEY]


def test_an_expired_key_replaces_nothing(mirror: Carried, gpg: Gpg) -> None:
    """What would be replaced is still named by the index, which cannot be signed without it."""
    key = gpg.make("late")
    assert mirror.run("--sign-key", key, GNUPGHOME=str(gpg.home))[0] == 0
    before = {name: (mirror.tree / name).read_bytes() for name in mirror.files()}
    gpg.run("--quick-set-expire", key, "seconds=1")
    wait_until_expired(gpg, key)
    mirror.define({**mirror.version("new", image("new")), "version": "1"})
    code, text = mirror.run("--sign-key", key, GNUPGHOME=str(gpg.home))
    assert (code, "failed: A 1: not replaced: the index cannot be written first: gpg cannot sign" in text) == (
        1,
        True,
    ), text
    assert {name: (mirror.tree / name).read_bytes() for name in mirror.files()} == before


@pytest.mark.parametrize("empty", ["images: []\n", "images:\n", "# nothing yet\n", ""])
def test_a_file_without_definitions_stops_the_prune(mirror: Carried, empty: str) -> None:
    folder = mirror.directory / "several"
    folder.mkdir()
    given = yaml.safe_load(mirror.file.read_text())
    (folder / "a.yml").write_text(yaml.safe_dump(given))
    other = {**given["images"][0], "name": "B", "shortname": "b"}
    (folder / "b.yml").write_text(yaml.safe_dump({"images": [other]}))
    assert mirror.run("--images", str(folder))[0] == 0
    (folder / "b.yml").write_text(empty)
    code, text = mirror.run("--images", str(folder), "--prune", "--grace", "0")
    assert (code, f"prune: nothing was deleted: {folder}/b.yml has no definitions" in text) == (0, True), text
    assert (mirror.tree / "b/1-b.raw").exists()
    assert not (mirror.tree / MEMO).exists()  # its days of grace do not begin either


def test_another_mirror_below_is_never_pruned(mirror: Carried) -> None:
    below = mirror.tree / "teams" / "b"
    below.mkdir(parents=True)
    mirror.define(mirror.version("7", image("7")), name="B", shortname="b")
    assert mirror.run(tree=below)[0] == 0
    theirs = {name: (mirror.tree / name).read_bytes() for name in mirror.files()}
    mirror.define(mirror.version("1", image("1")))
    code, text = mirror.run("--prune", "--grace", "0")
    assert code == 0, text
    assert {name: (mirror.tree / name).read_bytes() for name in theirs} == theirs
    assert list(mirror.products()) == ["openstack-image-manager:a:unknown"]


def test_a_copy_of_an_image_without_checksum_is_pinned(mirror: Carried) -> None:
    mirror.define({**mirror.version("1", image("1")), "checksum": None})
    assert mirror.run("--write")[0] == 0
    assert f"mirror_checksum: sha256:{mirror.record()['sha256']}\n" in mirror.file.read_text()


def test_the_signature_and_its_text_fit_after_a_change(mirror: Carried, gpg: Gpg) -> None:
    key = gpg.make("pair")
    assert mirror.run("--sign-key", key, GNUPGHOME=str(gpg.home))[0] == 0
    mirror.define(mirror.version("1", image("1", 2)), mirror.version("2", image("2")))
    assert mirror.run("--sign-key", key, GNUPGHOME=str(gpg.home))[0] == 0
    gpg.run("--verify", str(mirror.tree / "a/SHA256SUMS.gpg"), str(mirror.tree / "a/SHA256SUMS"))
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=mirror.tree / "a", check=True, timeout=60)


def forge(mirror: Carried, data: bytes, key: str = KEY, **told: object) -> None:
    """Bytes, and a record that says of them whatever it likes, as all can write who can write to the bucket."""
    path = mirror.tree / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    given = yaml.safe_load(mirror.file.read_text())["images"][0]
    version = given["versions"][0]
    promised = version.get("checksum", f"sha256:{'1' * 64}")
    record = {
        "made-by": "openstack-image-manager",
        **{"name": given["name"], "version": version["version"], "source": version["url"]},
        **{"source_digest": promised, "source_size": len(data) + 1, "checksum": promised, "proof": "definition"},
        **{"signed_by": None, "signed_at": None, "at": "2026-01-01T00:00:00+00:00"},
        **{"sha256": sha256(data), "sha512": hashlib.sha512(data).hexdigest(), "size": len(data), **told},
    }
    Path(f"{path}.mirror.json").write_text(json.dumps(record))


def test_a_forged_record_is_not_believed(mirror: Carried) -> None:
    forge(mirror, image("evil"))
    code, text = mirror.run("--write")
    reason = f"its bytes have sha256:{sha256(image('evil'))}, sha512:"
    assert (code, f"MISMATCH    A 1  {KEY}: the definition says sha256:" in text, reason in text) == (0, True, True), (
        text
    )
    assert (mirror.tree / KEY).read_bytes() == image("1", 2)
    assert "mirror_checksum" not in mirror.file.read_text()


def test_a_digest_that_only_the_bucket_tells_is_neither_written_nor_signed(mirror: Carried, gpg: Gpg) -> None:
    """The definition has the checksum of a packed file, or none."""
    key = gpg.make("careful")
    packed = lzma.compress(image("1", 2))
    url = mirror.site.put("/1.raw.xz", packed)
    for checksum in (f"sha256:{sha256(packed)}", None):
        mirror.define({"version": "1", "url": url, "checksum": checksum})
        forge(mirror, image("evil"))
        before = mirror.file.read_text()
        code, text = mirror.run("--write", "--sign-key", key, GNUPGHOME=str(gpg.home))
        assert (code, mirror.file.read_text()) == (0, before), text
        assert "A 1: no mirror_url written: its digest is known only from the bucket" in text
        assert f"{KEY}: not in the index: its sha256 is known only from its unsigned record; if the" in text
        assert sha256(image("evil")) not in "".join(map(str, published(mirror).values()))
    (mirror.tree / KEY).unlink()
    code, text = mirror.run("--write", "--sign-key", key, GNUPGHOME=str(gpg.home))
    assert (code, len(mirror.products())) == (0, 1), text
    pinned = f"mirror_checksum: sha256:{sha256(image('1', 2))}\n"
    assert (pinned in mirror.file.read_text(), "mirror_url: " in mirror.file.read_text()) == (True, True)
    forge(mirror, image("evil"))
    code, text = mirror.run()
    assert (code, f"MISMATCH    A 1  {KEY}: the definition says sha256:" in text) == (1, True), text


@pytest.mark.parametrize("told", ["sha256", "sha512"])
@pytest.mark.parametrize("is_signed", [True, False], ids=["signed before", "signed now"])
def test_the_other_digest_is_not_signed_because_of_the_one_that_is_defined(
    mirror: Carried, gpg: Gpg, told: str, is_signed: bool
) -> None:
    """Who reads the index compares with one of the two."""
    options = {"GNUPGHOME": str(gpg.home), "OPENSTACK_IMAGE_MANAGER_SIGN_KEY": gpg.make(f"both {told} {is_signed}")}
    good, evil = image("1", 2), image("evil", 2)
    digests = {name: hashlib.new(name, good).hexdigest() for name in ("sha256", "sha512")}
    mirror.define({**mirror.version("1", good), "checksum": f"{told}:{digests[told]}"})
    assert mirror.run(**(options if is_signed else {}))[0] == 0
    record = mirror.record()
    if is_signed:
        before = published(mirror)
        assert mirror.run(**options)[0] == 0
        assert (published(mirror), str(before).count(digests["sha512"])) == (before, 2)
    forge(mirror, evil, **{told: digests[told]})
    code, text = mirror.run(**options)
    assert code == 0, text
    texts = b"".join(published(mirror).values())
    for name in digests:
        assert hashlib.new(name, evil).hexdigest().encode() not in texts
    assert len(mirror.products()) == (told == "sha256")
    (mirror.tree / KEY).write_bytes(good)
    (mirror.tree / f"{KEY}.mirror.json").write_text(json.dumps(record))
    assert mirror.run(**options)[0] == 0
    # Nothing but the record tells the other digest from now on, until somebody reads the bytes.
    assert len(mirror.products()) == (told == "sha256")
    assert digests["sha512"].encode() not in b"".join(published(mirror).values())
    assert mirror.run("--verify", **options)[0] == 0
    texts = b"".join(published(mirror).values())
    assert [digest.encode() in texts for digest in digests.values()] == [True, True]
    before = published(mirror)
    assert mirror.run(**options)[0] == 0
    assert published(mirror) == before


def test_an_md5_that_only_the_bucket_tells_is_not_signed(mirror: Carried, gpg: Gpg) -> None:
    """Some clients compare nothing else."""
    options = {"GNUPGHOME": str(gpg.home), "OPENSTACK_IMAGE_MANAGER_SIGN_KEY": gpg.make("md5")}
    assert mirror.run(**options)[0] == 0
    before, record = mirror.products(), mirror.record()
    assert record["md5"] == hashlib.md5(image("1", 2)).hexdigest()
    assert record["md5"] in str(before)
    path = mirror.tree / f"{KEY}.mirror.json"
    path.write_text(json.dumps({**record, "md5": "0" * 32}))
    assert mirror.run(**options)[0] == 0
    assert b'"md5"' not in b"".join(published(mirror).values())
    assert mirror.run("--verify", **options)[0] == 0
    assert (mirror.products(), mirror.record()) == (before, record)
    # So is the MD5 of an object that an earlier release has copied.
    path.write_text(json.dumps({key: value for key, value in record.items() if key != "md5"}))
    assert mirror.run("--verify", **options)[0] == 0
    assert (mirror.products(), mirror.record()) == (before, record)


def test_what_is_said_of_an_object_is_what_its_definition_says(mirror: Carried) -> None:
    meta = {"os_distro": "debian", "os_version": "13", "architecture": "x86_64"}
    mirror.define(mirror.version("1", image("1", 2)), meta=meta)
    assert mirror.run()[0] == 0
    before = published(mirror)
    forge(mirror, image("1", 2), source="https://evil.example/", os_distro="evil", os_version="9", architecture="sparc")
    forge(mirror, image("2"), "a/2-a.raw", name="B", os_distro="other", at=mirror.record()["at"])
    assert mirror.run()[0] == 0
    described = {**mirror.products()}
    assert (described.pop("openstack-image-manager:b:unknown")["os"], len(described)) == ("other", 1)
    ((_, product),) = described.items()
    assert (product["os"], product["version"], product["arch"]) == ("debian", "13", "amd64")
    assert b"evil" not in b"".join(published(mirror).values())
    assert published(mirror).keys() == before.keys()


def test_what_was_signed_once_stays_in_the_index_and_what_others_add_is_not_signed(mirror: Carried, gpg: Gpg) -> None:
    key = gpg.make("lasting")
    options = {"GNUPGHOME": str(gpg.home), "OPENSTACK_IMAGE_MANAGER_SIGN_KEY": key}
    mirror.define({**mirror.version("1", image("1")), "checksum": None})
    assert mirror.run(**options)[0] == 0
    signed = published(mirror)
    assert mirror.run(**options)[0] == 0
    assert published(mirror) == signed  # by nothing but our own signature
    forge(mirror, image("evil"), "a/9-a.raw", version="9", at="2027-01-01T00:00:00+00:00")
    forge(mirror, image("evil"))
    record = mirror.record()
    code, text = mirror.run(**options)
    assert (code, mirror.record(), mirror.products()) == (0, record, {}), text
    # A signature by another key, and none, speak for nothing.
    (mirror.tree / "streams/v1/images.sjson").write_bytes(signed["streams/v1/images.sjson"])
    other = {**options, "OPENSTACK_IMAGE_MANAGER_SIGN_KEY": gpg.make("another")}
    assert (mirror.run(**other)[0], mirror.products()) == (0, {})


def test_verify_compares_with_the_checksum_of_the_definition(mirror: Carried) -> None:
    """A digest of this kind is in no record."""
    md5 = hashlib.md5(image("1", 2)).hexdigest()
    mirror.define({**mirror.version("1", image("1", 2)), "checksum": f"md5:{md5}"})
    evil = image("evil")
    forge(mirror, evil)
    code, text = mirror.run("--verify")
    reason = f"its bytes have md5:{hashlib.md5(evil).hexdigest()}, the definition says md5:{md5}"
    assert (code, f"MISMATCH    A 1  {KEY}: {reason}\n" in text) == (0, True), text
    assert (mirror.tree / KEY).read_bytes() == image("1", 2)
    code, text = mirror.run("--verify")
    assert (code, "1 CURRENT\n" in text) == (0, True), text


def test_a_copy_that_contradicts_the_definition_is_not_made(mirror: Carried) -> None:
    packed = lzma.compress(image("1"))
    version = {"version": "1", "url": mirror.site.put("/1.raw.xz", packed), "checksum": f"sha256:{sha256(packed)}"}
    mirror.define({**version, "mirror_checksum": f"sha256:{'1' * 64}"})
    code, text = mirror.run()
    reason = f"/1.raw.xz: the definition says sha256:{'1' * 64}, its bytes have sha256:{sha256(image('1'))}, sha512:"
    assert (code, mirror.files(), reason in text) == (1, [], True), text


@pytest.mark.parametrize("said", ["copied", COPIED_BY_ANOTHER_RUN])
def test_what_another_run_has_copied_was_not_read_by_this_one(mirror: Carried, said: str) -> None:
    assert mirror.run()[0] == 0
    record = decode((mirror.tree / f"{KEY}.mirror.json").read_bytes())
    assert record is not None
    stop = threading.Event()
    copier = Copier(Directory(str(mirror.tree), writes=False), stop, NullReporter(), create_prover(None, stop))
    (definition,) = read("images.yml", mirror.file.read_bytes())[0]
    missing = compare(Item(definition, definition.versions[0], KEY), None)
    (outcome,) = copy(Plan((missing,), ()), copier, 1, copy_version=lambda _: (said, record))
    assert (outcome.state, outcome.is_read) == ("ok", said != COPIED_BY_ANOTHER_RUN)
