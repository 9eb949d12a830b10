"""The frozen types: what they refuse, and the reference of their fields in the documentation."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from openstack_image_manager.checksum import DIGEST_LENGTHS, Checksum
from openstack_image_manager.definitions.json_schema import json_schema
from openstack_image_manager.definitions.loader import DefinitionErrors, load
from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Create, Role, Stage, Update

DOCS = Path(__file__).parents[3] / "docs" / "definitions.md"


@pytest.mark.parametrize("algorithm", DIGEST_LENGTHS)
def test_a_bare_digest_tells_its_algorithm_by_its_length(algorithm: str) -> None:
    digest = "aB" * (DIGEST_LENGTHS[algorithm] // 2)
    assert Checksum.parse(f" {digest}\n") == Checksum(algorithm, digest.lower())
    assert str(Checksum.parse(f"{algorithm.upper()}: {digest}")) == f"{algorithm}:{digest.lower()}"


@pytest.mark.parametrize("text", ["", "md5:", "md5:xyz", "crc32:abcdef01", "abc", "sha256:" + "a" * 63, "sha-3:abc"])
def test_other_checksums_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"digest|algorithm"):
        Checksum.parse(text)


def test_public_urls_hold_no_secrets() -> None:
    assert public_url("https://u:p@h:1/a?build=1&X-Amz-Signature=2&token=3") == "https://h:1/a?build=1"
    assert public_url("https://h/a") == "https://h/a"


def definition(**fields: Any) -> Definition:
    return Definition(**{"name": "A", "format": "raw", "versions": [], **fields})


def version(**fields: Any) -> Version:
    return Version(**{"version": "1", "url": "https://x/1", **fields})


def test_meta_values_become_texts() -> None:
    assert definition(meta={"a": True, "b": 3, "c": 1.5, "d": None}).meta == {
        "a": "true",
        "b": "3",
        "c": "1.5",
        "d": None,
    }


@pytest.mark.parametrize(
    "url", ["https://x/1", "HTTP://u:p@x:8080", "file:///srv/1.img", "https://[::1]/1", "https://é/ü"]
)
def test_urls(url: str) -> None:
    assert version(url=url).url == url


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("file:loc/a.img", "loc/a.img"),
        ("FILE:./loc/../a.img", "a.img"),
        ("file:../a.img", "../a.img"),
        ("file:a%20b%C3%BC%3F.img", "a bü?.img"),
        ("file:/srv/a.img", "/srv/a.img"),
        ("file:?a#b", "?a#b"),
    ],
)
def test_local_paths_are_relative_to_the_current_directory(given: str, path: str) -> None:
    version = Version.model_validate({"version": "1", "url": given})
    assert version.url == Path(os.path.abspath(path)).as_uri()
    assert Version.model_validate(version.model_dump()).url == version.url


def test_a_current_directory_that_is_gone_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ValueError, match="relative to a directory that does not exist; write file:///"):
        Version.model_validate({"version": "1", "url": "file:a.img"})


@pytest.mark.parametrize(
    "url", ["", "x", "gopher://x", "https://", "https://x/a b", "https://x/1\n", "https://[x", "https://x:0x/"]
)
def test_other_urls_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        version(url=url.replace("//", "//u:secret@"))
    (error,) = caught.value.errors()
    assert "secret" not in error["msg"]


@pytest.mark.parametrize("date", ["2024-02-29", "2024-01-02 03:04", "2024-01-02 03:04:05"])
def test_build_dates(date: str) -> None:
    assert version(build_date=date).build_date == date


@pytest.mark.parametrize(
    "date", ["", "2024", "2023-02-29", "2024-01-02T03:04", "2024-01-02 24:00", "2024-01-02 03:04:05Z"]
)
def test_other_build_dates_are_refused(date: str) -> None:
    with pytest.raises(ValidationError, match="is not a date"):
        version(build_date=date)


@pytest.mark.parametrize("name", ["", " A", "A ", "A\n", "a\x1bb", "A\u00a0", "x" * 256])
def test_names_that_no_one_could_tell_apart_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        definition(name=name)


def test_ids_are_uuids_in_lower_case() -> None:
    assert version(id="6D1B3C1E-0f5a-4c0e-9a36-0a1b2c3d4e5f").id == "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"
    with pytest.raises(ValidationError, match="is not a UUID"):
        version(id="6d1b3c1e0f5a4c0e9a360a1b2c3d4e5f")


def test_fields_of_versions() -> None:
    assert version(size=1).size == 1
    for wrong in ({"size": 0}, {"size": "1"}, {"signed_by": "1234"}, {"signed_at": "yesterday"}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            version(**wrong)


def test_definitions_are_frozen_closed_and_strict() -> None:
    with pytest.raises(ValidationError):
        definition().name = "B"
    with pytest.raises(ValidationError):
        definition(mindisk=1)
    with pytest.raises(ValidationError):
        definition(min_disk="1")


def test_both_names_of_the_checksum_file() -> None:
    assert version().checksum_file is None
    assert version(checksum_url="https://x/S").checksum_file == "https://x/S"
    assert version(checksum_url="https://x/S", checksums_url="https://x/T").checksum_file == "https://x/T"


def test_changes_are_known_by_the_name_a_reader_sees() -> None:
    before, after = Image("before", "private"), Image("after", "private")
    role = Role(True, False, False, Stage.KEEP, "", "private", False)
    create = Create(definition=definition(), version=version(), role=role, wanted=after, reason="new")
    update = Update(group="Ubuntu", found=before, wanted=after, fields=(), reason="renamed")
    assert (create.subject, update.subject) == ("after", "before")


def table(model: type[Definition] | type[Version]) -> str:
    """The reference of a model's fields as Markdown."""
    lines = ["| Field | Type | Default | Meaning | Example |", "|---|---|---|---|---|"]
    schemas = json_schema()["$defs"][model.__name__]["properties"]
    for name, field in model.model_fields.items():
        if field.is_required():
            default = "required"
        else:
            value = field.get_default(call_default_factory=True)
            default = "–" if value is None else f"`{json.dumps(value)}`"
        example = json.dumps(schemas[name]["examples"][0])
        lines.append(
            f"| `{name}` | {kind(name, schemas[name])} | {default} | {schemas[name]['description']} | `{example}` |"
        )
    return "\n".join(lines)


def kind(name: str, schema: dict[str, Any]) -> str:
    if name == "meta":
        return "mapping of keys to values"
    if name == "resolve":
        return "name, or [resolver](resolvers.md)"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value)
    if name.endswith("url"):
        return "URL"
    words = {"array": "list of ", "integer": "whole number", "boolean": "true or false", "string": "text"}
    word = words[schema["type"][0]]
    items = {"versions": "versions", "members": "members"}.get(name, "texts")
    return word + items if word == "list of " else word


@pytest.mark.parametrize("model", [Definition, Version])
def test_the_reference_in_the_documentation_is_the_model(model: type[Definition] | type[Version]) -> None:
    assert table(model) in DOCS.read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return [part.split("\n```")[0] for part in DOCS.read_text(encoding="utf-8").split(f"```{kind}\n")[1:]]


def test_the_examples_in_the_documentation_load(tmp_path: Path) -> None:
    *examples, wrong = blocks("yaml")
    for index, text in enumerate(examples):
        (tmp_path / f"{index}.yml").write_text(text, encoding="utf-8")
    loaded = load(str(tmp_path))
    assert len(loaded.definitions) == len(examples) == 3
    assert loaded.warnings == ()

    (tmp_path / "wrong.yml").write_text(wrong, encoding="utf-8")
    with pytest.raises(DefinitionErrors) as caught:
        load(str(tmp_path / "wrong.yml"))
    (output,) = (text for text in blocks("text") if text.startswith("images/debian.yml"))
    assert str(caught.value).replace(str(tmp_path / "wrong.yml"), "images/debian.yml") == output.rsplit("\n", 1)[0]
