"""Secrets are masked where they stand, and nothing of ours is taken for one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from openstack.connection import Connection
from tests.support.attempts import SECRET
from tests.support.bench import Bench, Outcome
from tests.support.proxy import Proxy, Rule

REPORTS = ("r.json", "r.md", "r.xml", "r.prom")


def reported(bench: Bench, *arguments: str, **variables: str) -> tuple[Outcome, dict[str, str]]:
    """The command as a process of its own, and all the files that it writes."""
    paths = {name: bench.directory / name for name in REPORTS}
    options = [f"--{'metrics' if name.endswith('prom') else 'report'}={path}" for name, path in paths.items()]
    command = [sys.executable, "-m", "openstack_image_manager", *bench.arguments(*arguments), *options]
    done = subprocess.run(
        command, env={**bench.environment, **variables}, capture_output=True, text=True, timeout=100, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr), {n: path.read_text() for n, path in paths.items()}


@pytest.fixture
def user(bench: Bench, connections: dict[str, Connection]) -> Iterator[Callable[[str], dict[str, str]]]:
    """The OS_* environment of a new user with that password."""
    keystone = bench.admin.identity
    users = []
    entry = yaml.safe_load(bench.clouds.read_text())["clouds"]["member"]
    project = connections["member"].current_project_id

    def make(password: str) -> dict[str, str]:
        made = keystone.create_user(name=f"user-{bench.tag}", password=password, domain_id="default")
        users.append(made)
        keystone.assign_project_role_to_user(project, made, keystone.find_role("member"))
        auth = {**entry["auth"], "username": made.name, "password": password, "region_name": entry["region_name"]}
        return {f"OS_{key.upper()}": value for key, value in auth.items()}

    yield make
    for made in users:
        keystone.delete_user(made)


@pytest.mark.parametrize("password", ["ubuntu", "1", "ubuntu-24.04"])
def test_a_password_that_is_a_word_of_ours_alters_nothing(
    bench: Bench, user: Callable[[str], dict[str, str]], password: str
) -> None:
    url = bench.publish("/ubuntu-24.04/20240416/1.img")
    version = {"version": "20240416", "url": url, "image_description": "ubuntu-24.04 build 1"}
    bench.define(bench.ubuntu(version, visibility="private", name=f"Masked ubuntu-24.04 1 {bench.tag}"))
    variables = user(password)
    bench.cloud = "envvars"  # openstacksdk's name of what the environment says
    outcome, files = reported(bench, "plan", "--output", "json", "--log-format", "json", **variables)
    assert outcome.code == 0, outcome.text
    for text in (outcome.text, *files.values()):
        assert "***" not in text
    (cloud,) = json.loads(files["r.json"])["clouds"]
    (change,) = cloud["changes"]
    name = f"Masked ubuntu-24.04 1 {bench.tag}"
    assert (change["image"], change["version"], change["url"]) == (name, "20240416", url)
    assert change["properties"]["image_source"] == url
    assert json.loads(outcome.out) == json.loads(files["r.json"])
    assert name in files["r.xml"]


@pytest.mark.parametrize("options", [(), ("--debug",), ("--log-format", "json"), ("--log-format", "json", "--debug")])
def test_a_server_that_says_the_password(
    watched: Bench, proxy: Proxy, entry: dict[str, Any], options: tuple[str, ...]
) -> None:
    password = entry["auth"]["password"]
    watched.define(watched.ubuntu("1"))
    said = f"user admin with {password} or ubuntu is not welcome; " + json.dumps({"password": "ubuntu"})
    proxy.add(Rule("GET", "/v2/images", status=400, body=said, times=None))
    outcome, files = reported(watched, "plan", *options)
    assert outcome.code == 1
    assert "user admin with *** or ubuntu is not welcome" in outcome.err
    assert "user admin with *** or ubuntu is not welcome" in files["r.json"]
    for text in (outcome.text, *files.values()):
        assert password not in text
        assert "gAAAA" not in text
        assert '"password": "ubuntu"' not in text.replace("\\", "")


def test_what_is_missing_for_a_proxy_is_said(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    outcome, files = reported(bench, "plan", all_proxy=f"socks5://alice:{SECRET}@127.0.0.1:9")
    assert outcome.code == 1
    for text in (outcome.err, files["r.json"]):
        assert "names a SOCKS proxy, and the package PySocks for that is missing; install it in this" in text
        assert SECRET not in text


def test_a_secret_address_is_in_no_file_and_no_property(bench: Bench, tmp_path: Path) -> None:
    version = bench.version("1")
    secret = version["url"].replace("http://", f"http://reader:{SECRET}@") + f"?%73ig={SECRET}&part=1&"
    secret += "&".join(f"{name}={SECRET}" for name in ("pass", "pw", "session", "code", "hash", "st", "md5", "unheard"))
    secret += f"&user=bob&e=1#access_token={SECRET}"
    places = {"url": secret, "mirror_url": secret, "checksums_url": secret, "source": secret}
    bench.define(bench.ubuntu({**version, **places}, visibility="private", meta={"see": f"at {secret}, there"}))
    told = []
    saved = tmp_path / "saved.plan"
    for arguments in (
        ("plan", "--out", str(saved), "--debug"),
        ("plan", "--output", "json", "--log-format", "json", "--debug"),
        ("apply", "--yes", "--debug"),
        ("status", "--output", "json"),
    ):
        outcome, files = reported(bench, *arguments)
        assert outcome.code == 0, outcome.text
        told += [outcome.text, *files.values()]
    told.append(saved.read_text())
    name = f"Ubuntu {bench.tag}"
    told += [bench.run("explain", name, "--output", "json").text, bench.run("show", name, "--output", "json").text]
    image = bench.image("1")
    assert image.properties["image_source"] == f"{version['url']}?part=1"
    told.append(repr({key: value for key, value in image.properties.items() if key != "see"}))
    tasks = bench.admin.image.get(f"/images/{image.id}/tasks").text
    told.append(tasks)
    for text in told:
        assert SECRET not in text
