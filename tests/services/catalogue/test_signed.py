"""The whole catalogue with real signatures: who signs is verified in the way they sign, and wrong keys are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support import catalogue_sites
from tests.support.bench import Outcome, run_main
from tests.support.catalogue_images import NEVER_SIGNED
from tests.support.signers import made, rsa_key, rsa_signature
from tests.support.upstreams import World

from openstack_image_manager.catalogue import entries
from openstack_image_manager.defaults import CATALOGUE
from openstack_image_manager.definitions import catalogue_files
from openstack_image_manager.definitions.loader import load

LOADED = load(CATALOGUE)
FILES = {definition.name: Path(LOADED.positions[definition.name].file).stem for definition in LOADED.definitions}
RSA = rsa_key(0).public_key()
RSA_PIN = hashlib.sha256(RSA.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest().upper()
SIGNED_HERE = {
    name
    for name, file in FILES.items()
    if (file not in NEVER_SIGNED and not name.startswith("Rocky 8")) or file == "opnsense"
}


@dataclass
class Copy:
    """A copy of the catalogue that pins keys of this test in the place of the upstreams' own, and what it follows."""

    world: World
    folder: Path
    pins: dict[str, str]

    def update(self) -> tuple[Outcome, dict[str, dict[str, Any]]]:
        """One run over all of it, and what it tells of each definition."""
        arguments = ["update", "--images", str(self.folder / "images"), "--keys", str(self.folder / "keys")]
        pairs = (f"{upstream}={mirror}" for upstream, mirror in self.world.mirrors.items())
        environment = {"HOME": str(self.folder), "OPENSTACK_IMAGE_MANAGER_MIRRORS": " ".join(pairs)}
        outcome = run_main([*arguments, "--output", "json"], environment)
        return outcome, {each["image"]: each for each in json.loads(outcome.out)["definitions"]}


def own(definition: dict[str, Any], pins: dict[str, str]) -> None:
    """Pin a key of this test, one for each that the catalogue pins."""
    resolve = definition["resolve"]
    resolve = {"use": resolve} if isinstance(resolve, str) else resolve
    variables = resolve.setdefault("variables", {})
    if resolve["use"] == "opnsense":
        variables.update(key=RSA_PIN, policy="required")
    elif definition["name"] in pins:
        variables.update(key=pins[definition["name"]])
    definition["resolve"] = resolve


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    pins: dict[str, str] = {}
    (tmp_path / "keys").mkdir()
    (tmp_path / "images").mkdir()
    for entry in entries.entries(LOADED.definitions, LOADED.positions):
        for pinned in entry.keys:
            pins[entry.name] = made(pinned).fingerprint
            (tmp_path / "keys" / f"{pinned}.asc").write_bytes(made(pinned).armored)
    (tmp_path / "keys" / "opnsense.pub").write_bytes(RSA.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for file in catalogue_files.files():
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        for definition in content["images"]:
            own(definition, pins)
        (tmp_path / "images" / Path(file).name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with World(tmp_path / "world") as world:
        yield Copy(world, tmp_path, {**pins, "OPNsense 26.7": RSA_PIN})


def publish(world: World, signer: str | None, rsa: int) -> None:
    """Publish everything. `signer`: who signs all of it, None: everybody what is theirs; `rsa`: the number of a key."""
    world.detached = lambda data, key: made(signer or key).sign(data)
    world.clear = lambda text, key: made(signer or key).clearsign(text.encode()).decode()
    world.rsa = lambda data: rsa_signature(data, rsa_key(rsa))
    catalogue_sites.publish(world, rocky_signed=("9", "10"))


def test_everything_that_is_signed_is_verified_by_the_key_that_is_pinned_for_it(copy: Copy) -> None:
    publish(copy.world, None, 0)
    outcome, told = copy.update()
    assert {name: each["error"] for name, each in told.items() if "error" in each} == {}
    assert outcome.code == 0
    assert {name for name, each in told.items() if each["state"] == "updated"} == set(FILES)
    assert {name: each["signed_by"] for name, each in told.items() if "signed_by" in each} == {
        name: copy.pins[name] for name in SIGNED_HERE
    }
    # RSA signatures have no time.
    assert {name for name, each in told.items() if "signed_at" in each} == SIGNED_HERE - {"OPNsense 26.7"}
    again, told = copy.update()
    assert (again.code, {each["state"] for each in told.values()}) == (0, {"current"}), again.text


def test_what_is_signed_by_a_wrong_key_is_refused_and_nothing_else(copy: Copy) -> None:
    """Also where a signature is optional."""
    publish(copy.world, "Somebody else <else@example.org>", 1)
    outcome, told = copy.update()
    assert outcome.code == 1
    assert {name for name, each in told.items() if each["state"] == "failed"} == SIGNED_HERE
    assert {name for name, each in told.items() if each["state"] == "updated"} == set(FILES) - SIGNED_HERE
    for name in SIGNED_HERE:
        why = "BAD signature: not by the pinned key" if name == "OPNsense 26.7" else "not by a pinned key"
        assert why in told[name]["error"], told[name]
        assert copy.pins[name] in told[name]["error"], told[name]
    written = load(str(copy.folder / "images"))
    assert {each.name for each in written.definitions if each.versions} == set(FILES) - SIGNED_HERE
