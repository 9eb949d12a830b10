"""Definitions as lists for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from openstack_image_manager.cli.app import main
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.report import inventory

IMAGES = [
    {"name": "Ubuntu 24.04", "format": "qcow2", "login": "ubuntu", "multi": True, "visibility": "public"},
    {"name": "MyCirros_|*", "format": "qcow2", "login": "cirros", "password": "gocubsgo"},
    {"name": "Debian 13", "format": "raw", "enable": False},
]
VERSIONS = [
    {"version": number, "url": f"https://u:hunter2@example.org/{number}.img?token=hunter2"} for number in ("9", "10")
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    images = [{**image, "versions": VERSIONS} for image in IMAGES]
    (tmp_path / "images" / "a.yml").write_text(yaml.safe_dump({"images": images}, sort_keys=False))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main([*arguments])
    out, err = capsys.readouterr()
    assert (end.value.code, err) == (0, "")
    return out


def test_list_as_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(capsys, "list", "--images", "images")
        == """\
Name                  Newest  Versions  Format  Visibility  Login   Password  File
Debian 13 (disabled)  10      2         raw     private     -       -         images/a.yml:17
MyCirros_|*           10      2         qcow2   private     cirros  gocubsgo  images/a.yml:12
Ubuntu 24.04          10      2         qcow2   public      ubuntu  -         images/a.yml:2
"""
    )


def test_list_as_the_table_of_logins(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(capsys, "list", "--images", "images", "--output", "rst")
        == r"""==============  ======  ========
Name            Login   Password
==============  ======  ========
MyCirros\_\|\*  cirros  gocubsgo
Ubuntu 24.04    ubuntu
==============  ======  ========
"""
    )


def test_list_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = json.loads(run(capsys, "list", "--images", "images", "--output", "json", "--filter", "Ubuntu"))
    assert found == {
        "name": "Ubuntu 24.04",
        "enabled": True,
        "newest": "10",
        "versions": 2,
        "format": "qcow2",
        "visibility": "public",
        "login": "ubuntu",
        "password": None,
        "file": "images/a.yml",
        "line": 2,
    }


def test_warnings_stand_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images" / "b.yml").write_text("images: []")
    with pytest.raises(SystemExit):
        main(["list", "--images", "images", "--output", "json"])
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 3
    assert err == "warning: images/b.yml: contains no definitions\n"


def test_details_hold_everything_but_secrets(folder: Path) -> None:
    more = {
        "name": "x",
        "format": "qcow2",
        "multi": True,
        "members": ["shop", {"project": "a", "domain": "b"}, {"domain": "c"}],
        "stores": ["fast"],
        "latest_url": "https://u:hunter2@example.org/",
        "resolve": "ubuntu",
        "meta": {"b": None, "architecture": "x86_64", "os_version": "24.04"},
        "versions": [],
    }
    own = {
        "name": "y",
        "format": "qcow2",
        "versions": VERSIONS,
        "latest_url": "https://example.org/x",
        "meta": {"n": 1},
    }
    (folder / "c.yml").write_text(yaml.safe_dump({"images": [more, own]}))
    loaded = load("c.yml")
    first, second = loaded.definitions
    details = inventory.details(first, loaded.positions["x"])
    assert ("members", "project shop, project a of domain b, domain c") in details
    assert {name: value for name, value in details if name not in ("file", "members")} == {
        "format": "qcow2",
        "multi": "true",
        "stores": "fast",
        "latest_url": "https://example.org/",
        "resolve": "ubuntu",
        "meta.architecture": "x86_64",
        "meta.b": "null",
        "meta.os_version": "24.04",
        "versions": "none",
    }
    assert inventory.details(second, loaded.positions["y"])[1:] == [
        ("format", "qcow2"),
        ("latest_url", "https://example.org/x"),
        ("meta.n", "1"),
        ("versions", "10, 9"),
    ]
    described = inventory.described(second, loaded.positions["y"])
    assert described["versions"][0]["url"] == "https://example.org/9.img"
    assert "hunter2" not in f"{details}{described}"
