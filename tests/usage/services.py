"""Real Nova and Cinder (APIs, policies, databases) from PyPI on loopback, with the sandbox's Keystone.

There is no compute node and no storage: `Services.put` writes servers and volumes with the services' own objects.
Everything lies in the sandbox's state directory; it is installed and migrated once.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from openstack_image_manager.files import write_private
from openstack_image_manager.sandbox import Sandbox, config, process
from openstack_image_manager.sandbox.install import MARKER, discard, fingerprint, install, is_complete

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
FILL = HERE / "fill.py"
APPLICATIONS = {"nova": "nova.wsgi.osapi_compute", "cinder": "cinder.wsgi.api"}
DATABASES = {"nova": ("api", "cell0", "cell1"), "cinder": ("cinder",)}


class Services:
    """Nova and Cinder as they run. `put` brings servers, volumes and snapshots into their databases."""

    def __init__(self, directory: Path, ports: dict[str, int], fillers: dict[str, subprocess.Popen[str]]) -> None:
        self.directory = directory
        self.ports = ports
        self._fillers = fillers

    def url(self, service: str) -> str:
        """The address of a service, without a version."""
        return f"http://{process.HOST}:{self.ports[service]}"

    def policy(self, service: str) -> Path:
        """A folder for rules of the service's policy."""
        return self.directory / service / "policy.d"

    def put(self, kind: str, **values: Any) -> str:
        """Write one server, volume or snapshot; its id."""
        filler = self._fillers["nova" if kind == "server" else "cinder"]
        assert filler.stdin is not None
        filler.stdin.write(json.dumps({"kind": kind, **values}) + "\n")
        filler.stdin.flush()
        return self._until(filler, "id ").split()[1]

    def ready(self) -> None:
        """Wait until `put` can be asked."""
        for filler in self._fillers.values():
            self._until(filler, "ready")

    def _until(self, filler: subprocess.Popen[str], start: str) -> str:
        assert filler.stdout is not None
        for line in filler.stdout:
            if line.startswith(start):
                return line
        raise AssertionError((self.directory / "fill.log").read_text())


@contextmanager
def running(sandbox: Sandbox) -> Iterator[Services]:
    """Install what is missing, and run both services with empty databases."""
    say = lambda line: print(line, flush=True)  # noqa: E731
    state = sandbox.state / "usage"
    with process.locked(state / "lock", say), ExitStack() as stack:
        python = install(state / "venv", state / "pip.log", say, REQUIREMENTS, "Nova and Cinder")
        _make_template(state, python)
        data = state / "data"
        discard(data)
        shutil.copytree(state / "template", data)
        log = stack.enter_context((data / "fill.log").open("w"))
        ports, started, fillers = {}, {}, {}
        for name in APPLICATIONS:
            ports[name] = process.free_port(set(ports.values()))
            _configure(sandbox, data / name, ports[name], python)
            env = {**config.environment(data / name), "OS_NOVA_CONFIG_DIR": str(data / name)}
            command = [str(python), str(FILL), name, str(data / name)]
            pipe = subprocess.PIPE
            fillers[name] = stack.enter_context(
                subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, env=env)
            )
        services = Services(data, ports, fillers)
        services.ready()
        for name, port in ports.items():  # Nova looks for its cells when it starts
            env = {**config.environment(data / name), "OS_NOVA_CONFIG_DIR": str(data / name)}
            spawned = process.spawn([str(python), "-m", "gunicorn"], env, data / f"{name}.log")
            stack.callback(process.stop, spawned.pid, spawned.started)
            started[name] = spawned, port, data / f"{name}.log"
        process.wait_for(started)
        yield services


def _make_template(state: Path, python: Path) -> None:
    """Databases with all tables and nothing in them."""
    directory, made = state / "template", fingerprint(REQUIREMENTS)
    if is_complete(directory, made):
        return
    discard(directory)
    for name in APPLICATIONS:
        (directory / name / "policy.d").mkdir(parents=True)
        write_private(directory / name / f"{name}.conf", config.ini(_sections(directory / name, name, python), {}))
    orders = (
        ("nova", "api_db", "sync"),
        ("nova", "db", "sync", "--local_cell"),
        ("cinder", "db", "sync"),
    )

    def manage(order: tuple[str, ...]) -> None:
        name, *rest = order
        command = [str(python.with_name(f"{name}-manage")), f"--config-file={directory / name / name}.conf", *rest]
        subprocess.run(command, check=True, timeout=300, capture_output=True, env=config.environment(directory / name))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(manage, orders))
    shutil.copy(directory / "nova" / "cell1.sqlite", directory / "nova" / "cell0.sqlite")
    (directory / MARKER).write_text(made)


def _sections(directory: Path, name: str, python: Path) -> dict[str, dict[str, str]]:
    paste = python.parent.parent / "etc" / name / "api-paste.ini"
    own = {
        "nova": {
            "database": {"connection": f"sqlite:///{directory}/cell1.sqlite"},
            "api_database": {"connection": f"sqlite:///{directory}/api.sqlite"},
            "wsgi": {"api_paste_config": str(paste)},
            "api": {"max_limit": "2"},
        },
        "cinder": {
            "DEFAULT": {"api_paste_config": str(paste), "osapi_max_limit": "2"},
            "database": {"connection": f"sqlite:///{directory}/cinder.sqlite"},
        },
    }[name]
    common = {"transport_url": "fake://", "state_path": str(directory), "auth_strategy": "keystone"}
    return {
        **own,
        "DEFAULT": {**common, **own.get("DEFAULT", {})},
        "oslo_policy": {"policy_dirs": f"{directory}/policy.d"},
        "oslo_concurrency": {"lock_path": str(directory)},
    }


def _configure(sandbox: Sandbox, directory: Path, port: int, python: Path) -> None:
    """As `sandbox/config.py` does it for Glance. Pages have two entries, so that there are several."""
    name = directory.name
    keystone, password = sandbox.url("keystone") + "/v3", (sandbox.state / "data" / "password").read_text()
    sections = _sections(directory, name, python)
    sections["keystone_authtoken"] = {
        "www_authenticate_uri": keystone,
        "auth_url": keystone,
        "auth_type": "password",
        "username": "glance",
        "password": password,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": "RegionOne",
    }
    path = directory / f"{name}.conf"
    shutil.copy(python.parent.parent / "etc" / name / "api-paste.ini", directory)  # Nova looks for it here
    write_private(path, config.ini(sections, {}))
    text = config.gunicorn(name, directory, port).replace(f"{name}.wsgi.api", APPLICATIONS[name])
    # Cinder finds its configuration by argv alone, which gunicorn has read by then.
    argv = [name, *([f"--config-file={path}"] if name == "cinder" else [])]
    (directory / "gunicorn.conf.py").write_text(f"{text}\nimport sys\n\nsys.argv = {argv!r}\n")
    assert shlex.quote(str(directory)) == str(directory)
