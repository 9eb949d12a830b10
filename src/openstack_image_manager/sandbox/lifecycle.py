"""One sandbox: two small clouds and an upstream site, kept in a state directory."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox import config, disks, process, template
from openstack_image_manager.sandbox.install import MARKER, REQUIREMENTS, discard, fingerprint, install, is_complete
from openstack_image_manager.sandbox.process import HOST, Say

SERVICES = ("keystone", "glance-one", "glance-two", "site")


@dataclass(frozen=True)
class Options:
    """How the clouds are set up. Changing them needs a `down` and an `up`."""

    convert: bool = False
    token_expiration: int = 3600
    keystone: config.Config = field(default_factory=dict)
    glance: config.Config = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """One of the four services as found."""

    name: str
    url: str
    pid: int | None
    up: bool


@dataclass
class _Record:
    """What running.json keeps: ports survive `down`, so that clouds.yaml stays true; pids and start times do not."""

    options: Options = field(default_factory=Options)
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, tuple[int, str]] = field(default_factory=dict)


def default_state() -> Path:
    """The user's data directory (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "openstack-image-manager" / "sandbox"


@dataclass(frozen=True)
class Sandbox:
    """Keystone, two Glances (RegionOne, RegionTwo) and a site on 127.0.0.1, all below the directory `state`.

    Every method raises `Error` with a message for the user.
    """

    state: Path

    @property
    def clouds_yaml(self) -> Path:
        return self.state / "clouds.yaml"

    @property
    def site_directory(self) -> Path:
        return self.state / "site"

    def url(self, service: str) -> str:
        """The address of one of `SERVICES`, without a slash at its end."""
        ports = self._read().ports
        if service not in ports:
            raise Error(f"there is no {service} in {self.state}; start the sandbox: openstack-image-manager sandbox up")
        return f"http://{HOST}:{ports[service]}"

    def up(
        self,
        convert: bool = False,
        *,
        say: Say = lambda _: None,
        token_expiration: int = 3600,
        keystone: config.Config | None = None,
        glance: config.Config | None = None,
    ) -> bool:
        """Bring everything up and return True, or False if it ran already. Repairs what an earlier command left.

        `convert`: Glance decompresses and converts to raw on import. `token_expiration`: seconds. `keystone`, `glance`:
        more settings, section → key → value. Services that run already keep the options they were started with.
        """
        if convert and not shutil.which("qemu-img"):
            raise Error("--convert needs the program qemu-img; install it (Debian and Ubuntu: apt install qemu-utils)")
        wanted = Options(convert, token_expiration, keystone or {}, glance or {})
        with process.locked(self.state / "lock", say):
            record = self._read()
            running = self._running()
            if len(running) == len(SERVICES) and self.clouds_yaml.exists():
                return False
            if not running:
                record.options = wanted
            self._start(record, running, say)
            return True

    def down(self) -> bool:
        """Stop everything, keep the clouds' contents; False if nothing ran."""
        self._must_be_ours()
        with process.locked(self.state / "lock", lambda _: None):
            return self._stop(self._read())

    def reset(self) -> bool:
        """Stop everything and empty both clouds; the next `up` is as quick as any. Returns what `down` returns."""
        self._must_be_ours()
        with process.locked(self.state / "lock", lambda _: None):
            stopped = self._stop(self._read())
            for name in ("data", "data.partial"):
                discard(self.state / name)
            self.clouds_yaml.unlink(missing_ok=True)
            return stopped

    def _must_be_ours(self) -> None:
        """Whatever else is in a directory is not ours to stop or to delete."""
        ours = ("lock", "venv", "template", "running.json")
        strange = self.state.exists() and any(self.state.iterdir())
        if strange and not any((self.state / name).exists() for name in ours):
            raise Error(
                f"{self.state} is no sandbox of ours; name the directory that `sandbox up` was given with --state"
            )
        self.state.mkdir(parents=True, exist_ok=True)

    def status(self) -> list[Service]:
        """All four services as they are now."""
        record = self._read()
        found = []
        for name in SERVICES:
            pid, started = record.processes.get(name, (None, ""))
            port = record.ports.get(name)
            url = f"http://{HOST}:{port}" if port else ""
            lives = pid is not None and process.alive(pid, started)
            found.append(Service(name, url, pid if lives else None, lives and process.answers(port or 0)))
        return found

    @property
    def options(self) -> Options:
        """What it was last started with."""
        return self._read().options

    def _read(self) -> _Record:
        try:
            read = json.loads((self.state / "running.json").read_text())
            return _Record(Options(**read["options"]), read["ports"], read["processes"])
        except FileNotFoundError:
            return _Record()
        except (ValueError, TypeError, KeyError) as error:
            raise Error(
                f"{self.state}/running.json cannot be understood ({error}); end the processes it names, then remove it"
            ) from error

    def _write(self, record: _Record) -> None:
        partial = self.state / "running.json.partial"
        partial.write_text(json.dumps(asdict(record), indent=1))
        partial.replace(self.state / "running.json")

    def _running(self) -> set[str]:
        return {service.name for service in self.status() if service.up}

    def _stop(self, record: _Record, names: Iterable[str] = SERVICES) -> bool:
        stopped = [name for name in names if name in record.processes]
        # services end side by side: a busy one takes its seconds of grace
        with ThreadPoolExecutor(len(SERVICES)) as pool:
            list(pool.map(lambda name: process.stop(*record.processes[name]), stopped))
        for name in stopped:
            del record.processes[name]
        self._write(record)
        return bool(stopped)

    def _start(self, record: _Record, running: set[str], say: Say) -> None:
        logs = self.state / "log"
        logs.mkdir(parents=True, exist_ok=True)
        (self.state / ".gitignore").write_text("*\n")  # keys and passwords, should someone keep it in a checkout
        if running and not self._is_current():
            self._stop(record)
            running = set()
        python = install(self.state / "venv", logs / "pip.log", say)
        template.make(self.state / "template", python, logs / "template.log", say)
        self._stop(record, set(SERVICES) - running)
        if self._choose_ports(record, running):
            self._stop(record)
            running = set()
        self._fill(self.state / "data", say)
        self._prepare(record.ports, record.options, python)
        missing = [name for name in SERVICES if name not in running]
        say("Starting " + ", ".join(missing or ["nothing"]))
        started = {}
        try:
            for name in missing:
                log = logs / f"{name}.log"
                found = process.spawn(*self._command(name, record.ports[name], python), log)
                started[name] = (found, record.ports[name], log)
                record.processes[name] = (found.pid, found.started)
                self._write(record)
            process.wait_for(started)
        except BaseException:
            self._stop(record, started)
            raise

    def _choose_ports(self, record: _Record, running: set[str]) -> bool:
        """Keep every port that is ours or still free; True if one changed."""
        before = dict(record.ports)
        for name in SERVICES:
            if name not in running and not (name in record.ports and process.is_free(record.ports[name])):
                record.ports[name] = process.free_port(set(record.ports.values()))
        return record.ports != before

    def _prepare(self, ports: Mapping[str, int], options: Options, python: Path) -> None:
        """Write the configuration, clouds.yaml and the site's images."""
        data = self.state / "data"
        password = (data / "password").read_text()
        keystone_url = f"http://{HOST}:{ports['keystone']}/v3"
        directory = data / "keystone"
        (directory / "keystone.conf").write_text(config.keystone(directory, options.token_expiration, options.keystone))
        (directory / "gunicorn.conf.py").write_text(config.gunicorn("keystone", directory, ports["keystone"]))
        urls = {("identity", region): keystone_url for region in config.REGIONS.values()}
        paste = python.parent.parent / "etc" / "glance" / "glance-api-paste.ini"
        extra = config.merged(config.CONVERSION, options.glance) if options.convert else options.glance
        for name, region in config.REGIONS.items():
            directory, port = data / name, ports[name]
            urls["image", region] = f"http://{HOST}:{port}"
            settings = config.glance(directory, paste, port, keystone_url, password, region, extra)
            _private(directory / "glance-api.conf", settings)
            (directory / "gunicorn.conf.py").write_text(config.gunicorn("glance", directory, port))
        template.point(data / "keystone" / "keystone.sqlite", urls)
        _private(self.clouds_yaml, config.clouds(keystone_url, password))
        disks.make_images(self.site_directory)

    def _is_current(self) -> bool:
        """Whether everything was made by this version of the sandbox, so that services that run may stay."""
        made = template.wanted()
        return is_complete(self.state / "venv", fingerprint(REQUIREMENTS)) and all(
            is_complete(self.state / name, made) for name in ("template", "data")
        )

    def _fill(self, data: Path, say: Say) -> None:
        """Copy the template, unless `data` was made from this very template; other versions have other tables."""
        if is_complete(data, template.wanted()):
            return
        if data.exists():
            say("The clouds were made by another version of the sandbox; they start empty")
        source, partial = self.state / "template", data.with_name("data.partial")
        for path in (partial, data):
            discard(path)
        shutil.copytree(source / "keystone", partial / "keystone")
        for name in config.REGIONS:
            shutil.copytree(source / "glance", partial / name)
            for folder in config.GLANCE_DIRECTORIES:
                (partial / name / folder).mkdir()
        for name in ("password", MARKER):
            shutil.copy(source / name, partial / name)
        partial.rename(data)

    def _command(self, name: str, port: int, python: Path) -> tuple[list[str], Mapping[str, str]]:
        if name == "site":
            script = Path(disks.__file__).with_name("site.py")
            return [sys.executable, "-P", str(script), str(self.site_directory), str(port)], os.environ
        return [str(python), "-m", "gunicorn"], config.environment(self.state / "data" / name)


def _private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, because it holds a password; never half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
