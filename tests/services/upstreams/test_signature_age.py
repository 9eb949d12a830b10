"""A site that shows the same signed file for ever (indefinite freeze): how old it is, and what is warned of."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.bench import Outcome, run_main
from tests.support.documents import coreutils, image
from tests.support.signers import DAY, HAND, THEN
from tests.support.site import TestSite

from openstack_image_manager.definitions.loader import load
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.signatures.evidence import SignatureVerifier
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.upstreams.follow import Follower
from openstack_image_manager.upstreams.latest import resolve
from openstack_image_manager.upstreams.sites import Sites

SIGNED = THEN + DAY
AGE = (datetime.now(UTC) - datetime.fromtimestamp(SIGNED, UTC)).days
WARNING = "days old, more than max_age (30): the site may withhold newer builds; compare with another mirror"


def definition(site: TestSite, max_age: int | None, **version: Any) -> dict[str, Any]:
    """What follows a checksum file that was signed long ago."""
    text = coreutils({"1.qcow2": image("one")}).encode()
    site.put("/1.qcow2", image("one"))
    site.put("/SUMS", text)
    site.put("/SUMS.sig", HAND.sign(text, made=SIGNED))
    rule = {"kind": "detached", "over": "checksum", "url": "{checksum_url}.sig", "keys": HAND.fingerprint}
    step = {"checksum-file": f"{site.url}/SUMS", "match": r"(?P<version>\d+)[.]qcow2"}
    resolve = {"steps": [step], "signature": {**rule, **({"max_age": max_age} if max_age else {})}}
    return {"name": "A", "format": "qcow2", "resolve": resolve, "versions": [version] if version else []}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "upstream.gpg").write_bytes(HAND.certificate)
    return tmp_path / "keys"


def update(folder: Path, wanted: dict[str, Any], *options: str) -> Outcome:
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / "a.yml").write_text(yaml.safe_dump({"images": [wanted]}), encoding="utf-8")
    arguments = ["--images", str(folder / "images"), "--keys", str(folder / "keys"), "--no-cache", *options]
    return run_main(["update", *arguments], {"PATH": "/usr/bin:/bin", "HOME": str(folder), "NO_COLOR": "1"})


def is_told(outcome: Outcome) -> int:
    """The age of the signature that a line says."""
    return next(int(text.split(" ")[0]) for text in outcome.out.split("signed ")[1:] if " days ago" in text)


def test_a_signed_index_that_is_too_old(site: TestSite, tmp_path: Path, keys: Path) -> None:
    """A warning, for a new build and for one that the definition has: nothing else is known."""
    same = {"version": "1", "url": f"{site.url}/1.qcow2"}
    for wanted in (definition(site, 30), definition(site, 30, **same)):
        outcome = update(tmp_path, wanted, "--dry-run")
        assert (outcome.code, "warning: the signature is " in outcome.out, WARNING in outcome.out) == (0, True, True)
        assert is_told(outcome) in (AGE, AGE + 1)
        (told,) = json.loads(update(tmp_path, wanted, "--dry-run", "--output", "json").out)["definitions"]
        assert told["signed_days"] in (AGE, AGE + 1)
        assert WARNING in told["warning"]
        assert "**warning** A: the signature is " in update(tmp_path, wanted, "--dry-run", "--output", "markdown").out


@pytest.mark.parametrize("max_age", [None, 100 * 365])
def test_a_signature_that_may_be_old(site: TestSite, tmp_path: Path, keys: Path, max_age: int | None) -> None:
    outcome = update(tmp_path, definition(site, max_age))
    assert (outcome.code, "warning" in outcome.text) == (0, False)
    assert is_told(outcome) in (AGE, AGE + 1)
    assert load(str(tmp_path / "images")).definitions[0].versions[0].signed_at == "2023-11-15 22:13:20"


def test_a_run_that_follows_warns(site: TestSite, keys: Path) -> None:
    follower = Follower(Sites(), SignatureVerifier(Keyring([keys])))
    wanted = Definition.model_validate(definition(site, 30))
    (found,), (finding,) = resolve([wanted], [], follower=follower)
    assert found.versions[0].version == "1"
    assert (finding.level, finding.subject, WARNING in finding.message) == ("warning", "A", True)
    (_,), findings = resolve([Definition.model_validate(definition(site, None))], [], follower=follower)
    assert findings == []
