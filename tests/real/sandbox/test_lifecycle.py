"""The sandbox itself: its life and its repairs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError
from tests.real.conftest import connection
from tests.support.s3 import keys, s3_client
from tests.support.sandboxes import CIRROS, beside, imported, processes

from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox import Account, Sandbox, default_state
from openstack_image_manager.sandbox.install import install

pytestmark = pytest.mark.timeout(400)  # several starts of all services


@pytest.fixture
def own(sandbox: Sandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """A second sandbox that shares what the first one installed."""
    other = beside(sandbox, tmp_path / "my sandbox")
    yield other
    other.down()


@pytest.fixture
def with_swift(own: Sandbox, sandbox: Sandbox, object_storage: Account) -> Sandbox:
    """The second sandbox, where Swift is installed too."""
    (own.state / "swift-venv").symlink_to(sandbox.state / "swift-venv", target_is_directory=True)
    return own


def run(*arguments: str | Path, **env: str) -> tuple[int, str]:
    """Exit code and whole output of the command line, in a process of its own."""
    command = [sys.executable, "-c", "import sys; from openstack_image_manager.cli.start import main; sys.exit(main())"]
    ended = subprocess.run(
        [*command, "sandbox", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        env={**os.environ, **env},
        check=False,
    )
    return ended.returncode, ended.stdout


def test_up_repair_down(own: Sandbox) -> None:
    at = ("--state", own.state)
    assert run("status", *at)[0] == 1
    code, text = run("up", *at)
    assert (code, "The sandbox is up.\n" in text) == (0, True), text
    assert f"export OS_CLIENT_CONFIG_FILE='{own.clouds_yaml}'" in text
    code, text = run("up", *at)
    assert (code, "up already" in text, str(own.clouds_yaml) in text) == (0, True, True), text
    code, text = run("status", *at)
    assert (code, text.count(" up ")) == (0, 4)
    with connection(own.clouds_yaml, "openstack") as cloud:
        assert imported(cloud, f"{own.url('site')}/{CIRROS}", "qcow2")["size"] == 589824

    running = processes(own)
    psutil.Process({service.name: service.pid for service in own.status()}["glance-one"]).kill()
    code, text = run("status", *at)
    assert (code, text.count(" up ")) == (1, 3), text
    code, text = run("up", *at)
    assert (code, text.splitlines()[0]) == (0, "Starting glance-one")
    with connection(own.clouds_yaml, "openstack") as cloud:
        assert [image.status for image in cloud.image.images(tag="mine")] == ["active"]

    running += processes(own)
    assert run("down", *at) == (0, "The sandbox is down.\n")
    # who ran this test may not collect its orphans
    assert [process for process in running if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert run("down", *at) == (0, "The sandbox was down already.\n")


def test_incomplete_databases_two_ups_at_once_and_reset(own: Sandbox) -> None:
    (own.state / "template" / "made-from").unlink()
    (own.state / "template.partial" / "keystone").mkdir(parents=True)
    (own.state / "data.partial" / "keystone").mkdir(parents=True)
    command = [
        sys.executable,
        "-c",
        "from openstack_image_manager.cli.start import main; main()",
        "sandbox",
        "up",
        "--state",
    ]
    both = [subprocess.Popen([*command, own.state], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    texts = [process.communicate(timeout=300)[0] for process in both]
    assert sorted("up already" in text for text in texts) == [False, True], texts
    assert sum("Preparing empty databases" in text for text in texts) == 1, texts
    with connection(own.clouds_yaml, "second") as cloud:
        imported(cloud, f"{own.url('site')}/{CIRROS}", "qcow2")
    code, text = run("reset", "--state", own.state)
    assert (code, "are empty" in text) == (0, True)
    assert own.up()
    with connection(own.clouds_yaml, "second") as cloud:
        assert list(cloud.image.images()) == []


def test_conversion_token_life_and_other_settings(own: Sandbox) -> None:
    glance = {"DEFAULT": {"enabled_import_methods": "[web-download]"}}
    assert own.up(convert=True, token_expiration=7200, glance=glance)
    code, text = run("up", "--state", own.state)
    assert (code, "It runs with --convert" in text) == (0, True), text
    with connection(own.clouds_yaml, "member") as cloud:
        access = cloud.session.auth.get_access(cloud.session)
        assert (access.expires - access.issued).total_seconds() == 7200
        assert cloud.image.get("/info/import").json()["import-methods"]["value"] == ["web-download"]
        image = imported(cloud, f"{own.url('site')}/{CIRROS}", "qcow2")
        assert (image["disk_format"], image["size"]) == ("raw", 40 * 1024 * 1024)
        image = imported(cloud, f"{own.url('site')}/raw/disk.raw.gz", "raw", "packed")
        assert image["size"] == 4 * 1024 * 1024


def test_an_object_storage_is_added_and_keeps_its_data(with_swift: Sandbox) -> None:
    at = ("--state", with_swift.state)
    assert with_swift.up()
    assert not (with_swift.state / "swift").exists()
    with pytest.raises(Error, match="no object storage"):
        with_swift.account()
    before = {service.name: service.pid for service in with_swift.status()}
    code, text = run("up", "--object-storage", *at)
    assert code == 0, text
    assert "Starting object-storage, swift-account, swift-container, swift-object\n" in text
    file = with_swift.object_store.environment_file()
    assert f"  . '{file}'" in text
    assert with_swift.account().secret_key not in text
    assert {service.name: service.pid for service in with_swift.status()}.items() > before.items()
    assert {file.stat().st_mode & 0o077, (with_swift.state / "swift" / "keys.json").stat().st_mode & 0o077} == {0}
    shell = subprocess.run(
        ["sh", "-c", '. "$0"; env', file], capture_output=True, text=True, check=True, timeout=60, env={}
    ).stdout
    assert {f"{name}={value}" for name, value in with_swift.account().environment().items()} <= set(shell.split())
    with s3_client(with_swift.account()) as client:
        client.create_bucket(Bucket="kept")
        client.put_object(Bucket="kept", Key="a", Body=b"a")

    psutil.Process({service.name: service.pid for service in with_swift.status()}["swift-object"]).kill()
    assert run("status", *at)[0] == 1
    code, text = run("up", *at)
    assert (code, text.splitlines()[0]) == (0, "Starting swift-object")
    assert run("down", *at)[0] == 0
    assert run("up", *at)[1].splitlines()[0] == "Starting keystone, glance-one, glance-two, site"
    assert with_swift.up(object_storage=True)
    with s3_client(with_swift.account()) as client:
        assert client.get_object(Bucket="kept", Key="a")["Body"].read() == b"a"
    with_swift.reset()
    assert not file.exists()
    with pytest.raises(Error, match="no object storage"):
        with_swift.account()
    assert with_swift.up(object_storage=True)
    with s3_client(with_swift.account()) as client:
        assert client.list_buckets()["Buckets"] == []


def test_an_object_storage_whose_ports_were_taken(with_swift: Sandbox) -> None:
    assert with_swift.up(object_storage=True)
    with s3_client(with_swift.account()) as client:
        client.create_bucket(Bucket="kept")
        client.put_object(Bucket="kept", Key="a", Body=b"a")
    before = {service.name: (service.pid, service.url) for service in with_swift.status()}
    killed = psutil.Process(before["swift-object"][0])
    killed.kill()
    killed.wait(60)
    with socket.create_server(("127.0.0.1", int(before["swift-object"][1].rpartition(":")[2]))):
        said: list[str] = []
        assert with_swift.up(say=said.append)
    assert said == ["Starting object-storage, swift-account, swift-container, swift-object"]
    after = {service.name: (service.pid, service.url) for service in with_swift.status()}
    assert {name for name in before if before[name] == after[name]} == {"keystone", "glance-one", "glance-two", "site"}
    assert {name for name in before if before[name][1] != after[name][1]} == {"swift-object"}
    with s3_client(with_swift.account()) as client:
        assert keys(client, "kept") == ["a"]
        assert client.get_object(Bucket="kept", Key="a")["Body"].read() == b"a"
    found = {entry.laddr.ip for process in processes(with_swift) for entry in process.net_connections("inet")}
    assert found == {"127.0.0.1"}


def test_an_object_storage_of_another_version_starts_empty(with_swift: Sandbox) -> None:
    (with_swift.state / "swift" / "devices").mkdir(parents=True)
    (with_swift.state / "swift" / "made-from").write_text("something else")
    assert with_swift.up()
    said: list[str] = []
    assert with_swift.up(object_storage=True, say=said.append)
    assert any("object storage was made by another version" in line for line in said)
    with s3_client(with_swift.account("member")) as client, pytest.raises(ClientError, match="AccessDenied"):
        client.list_buckets()


def test_a_process_with_a_reused_pid_is_not_stopped(own: Sandbox) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        stale = {"options": {}, "ports": {"keystone": 1}, "processes": {"keystone": [other.pid, "1"]}}
        (own.state / "running.json").write_text(json.dumps(stale))
        assert [service.pid for service in own.status()] == [None] * 4
        own.down()
        assert other.poll() is None
        other.communicate(b"\n", timeout=60)


def test_an_incomplete_installation_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    venv, log, wanted = tmp_path / "venv", tmp_path / "pip.log", tmp_path / "requirements.txt"
    wanted.write_text("six==1.17.0\n")
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    said: list[str] = []
    python = install(venv, log, said.append, wanted)
    assert "incomplete" in said[0]
    subprocess.run([python, "-c", "import six"], check=True, timeout=30)
    assert install(venv, log, said.append, wanted) == python
    assert len(said) == 3, said  # the last one did nothing
    # Another sandbox shares it; what was cut short there is made again.
    other = tmp_path / "other"
    assert install(other, log, said.append, wanted) == other / "bin" / "python"
    assert (len(said), other.resolve()) == (3, venv.resolve())
    (other.resolve() / "made-from").unlink()
    subprocess.run([install(other, log, said.append, wanted), "-c", "import six"], check=True, timeout=30)
    assert "incomplete" in said[3]
    # Without a place for caches, each sandbox has its own.
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    own = tmp_path / "own"
    install(own, log, said.append, wanted)
    assert not own.is_symlink()

    wanted.write_text("six==0.0.0.1\n")
    with pytest.raises(Error, match=r"six==0\.0\.0\.1") as caught:
        install(venv, log, said.append, wanted)
    assert str(log) in str(caught.value)


def test_conversion_needs_qemu_img(tmp_path: Path) -> None:
    code, text = run("up", "--convert", "--state", tmp_path / "x", PATH="")
    assert (code, "qemu-utils" in text) == (1, True), text
    code, text = run("up", "--state", "/dev/null/x")
    assert (code, text.startswith("error: "), "Traceback" in text) == (1, True, False)


def test_swift_needs_a_plain_name(tmp_path: Path) -> None:
    code, text = run("up", "--object-storage", "--state", tmp_path / "100%")
    assert (code, text.count("\n"), "because of the %" in text) == (1, 1, True), text
    assert not (tmp_path / "100%" / "venv").exists()


def test_the_default_is_in_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_state() == tmp_path / "openstack-image-manager" / "sandbox"
