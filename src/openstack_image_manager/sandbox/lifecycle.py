"""Start, stop and reset a sandbox: two small clouds, a site and optionally an object storage in a state directory."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from openstack_image_manager.errors import Error
from openstack_image_manager.files import data_directory, write_private
from openstack_image_manager.sandbox import config, disks, objectstore, process, template
from openstack_image_manager.sandbox.install import MARKER, REQUIREMENTS, discard, fingerprint, install, is_complete
from openstack_image_manager.sandbox.objectstore import Account, ObjectStore
from openstack_image_manager.sandbox.process import HOST, Say
from openstack_image_manager.sandbox.record import Options, Record, read, write

SERVICES = ("keystone", "glance-one", "glance-two", "site")


def services(options: Options) -> tuple[str, ...]:
    """Return the names of the services with these options."""
    return SERVICES + objectstore.SERVICES * options.object_storage


@dataclass(frozen=True)
class Service:
    """The state of a service."""

    name: str
    url: str
    pid: int | None
    up: bool


def default_state() -> Path:
    """Return the sandbox directory in the user's data directory (XDG Base Directory Specification)."""
    return data_directory() / "sandbox"


@dataclass(frozen=True)
class Sandbox:
    """Keystone, two Glances (RegionOne, RegionTwo), a site and perhaps Swift on 127.0.0.1, below the directory `state`.

    Every method raises `Error` with a message for the user.
    """

    state: Path

    @property
    def clouds_yaml(self) -> Path:
        return self.state / "clouds.yaml"

    @property
    def site_directory(self) -> Path:
        return self.state / "site"

    @property
    def object_store(self) -> ObjectStore:
        return ObjectStore(self.state)

    def account(self, user: str = "admin") -> Account:
        """Return the object storage account of the user `admin` or `member`."""
        port = read(self.state).ports.get(objectstore.SERVICES[0])
        return self.object_store.account(f"http://{HOST}:{port}", user)

    def url(self, service: str) -> str:
        """Return the URL of a service, without a slash at the end."""
        ports = read(self.state).ports
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
        object_storage: bool = False,
    ) -> bool:
        """Start everything and return True, or False if it runs already. Repairs the state of an interrupted command.

        `convert`: Glance decompresses and converts to raw on import. `token_expiration`: seconds. `keystone`, `glance`:
        more settings, section → key → value. `object_storage`: also start Swift. Running services keep their options;
        an object storage is added to them.
        """
        if convert and not shutil.which("qemu-img"):
            raise Error("--convert needs the program qemu-img; install it (Debian and Ubuntu: apt install qemu-utils)")
        options = Options(convert, token_expiration, keystone or {}, glance or {}, object_storage)
        with process.locked(self.state / "lock", say):
            if object_storage:
                self.object_store.check()
            record = read(self.state)
            running = self._running()
            joins = object_storage and not record.options.object_storage
            if len(running) == len(services(record.options)) and self.clouds_yaml.exists() and not joins:
                return False
            if not running:
                record.options = options
            elif joins:
                record.options = replace(record.options, object_storage=True)
            self._start(record, running, say)
            return True

    def down(self) -> bool:
        """Stop everything and keep the data of the clouds; return False if nothing ran."""
        self._check_directory()
        with process.locked(self.state / "lock", lambda _: None):
            return self._stop(read(self.state))

    def reset(self) -> bool:
        """Stop everything and delete its data, but keep the installation. Returns the same as `down`."""
        self._check_directory()
        with process.locked(self.state / "lock", lambda _: None):
            stopped = self._stop(read(self.state))
            for name in ("data", "data.partial"):
                discard(self.state / name)
            self.object_store.empty()
            self.clouds_yaml.unlink(missing_ok=True)
            return stopped

    def _check_directory(self) -> None:
        """Raise Error for a directory with other content, which must not be deleted."""
        names = ("lock", "venv", "template", "running.json")
        is_used = self.state.exists() and any(self.state.iterdir())
        if is_used and not any((self.state / name).exists() for name in names):
            raise Error(f"{self.state} is not a sandbox; pass the directory that `sandbox up` used as --state")
        self.state.mkdir(parents=True, exist_ok=True)

    def status(self) -> list[Service]:
        """Return the state of all services."""
        record = read(self.state)
        result = []
        for name in services(record.options):
            pid, started = record.processes.get(name, (None, ""))
            port = record.ports.get(name)
            url = f"http://{HOST}:{port}" if port else ""
            is_alive = pid is not None and process.alive(pid, started)
            result.append(Service(name, url, pid if is_alive else None, is_alive and process.answers(port or 0)))
        return result

    @property
    def options(self) -> Options:
        """Return the options of the last start."""
        return read(self.state).options

    def _running(self) -> set[str]:
        return {service.name for service in self.status() if service.up}

    def _stop(self, record: Record, names: Iterable[str] | None = None) -> bool:
        stopped = [name for name in record.processes if names is None or name in names]
        # stop in parallel: a busy service uses its grace period
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: process.stop(*record.processes[name]), stopped))
        for name in stopped:
            del record.processes[name]
        write(self.state, record)
        return bool(stopped)

    def _start(self, record: Record, running: set[str], say: Say) -> None:
        logs = self.state / "log"
        logs.mkdir(parents=True, exist_ok=True)
        (self.state / ".gitignore").write_text("*\n")  # keys and passwords must not be committed
        if running and not self._is_current(record.options):
            self._stop(record)
            running = set()
        python = install(self.state / "venv", logs / "pip.log", say)
        template.make(self.state / "template", python, logs / "template.log", say)
        if record.options.object_storage:
            self.object_store.install(say)
        self._stop(record, set(record.processes) - running)
        running -= self._choose_ports(record, running)
        self._stop(record, set(record.processes) - running)
        self._fill(self.state / "data", say)
        self._prepare(record.ports, record.options, python)
        if record.options.object_storage:
            self.object_store.prepare(record.ports, say)
        missing = [name for name in services(record.options) if name not in running]
        say("Starting " + ", ".join(missing or ["nothing"]))
        started = {}
        try:
            for name in missing:
                log = logs / f"{name}.log"
                new = process.spawn(*self._command(name, record.ports[name], python), log)
                started[name] = (new, record.ports[name], log)
                record.processes[name] = (new.pid, new.started)
                write(self.state, record)
            process.wait_for(started)
        except BaseException:
            self._stop(record, started)
            raise

    def _choose_ports(self, record: Record, running: set[str]) -> set[str]:
        """Keep every port that is ours or still free; return the services to restart, because a port changed."""
        stale: set[str] = set()
        for group in (SERVICES, services(record.options)[len(SERVICES) :]):
            for name in group:
                if name not in running and not (name in record.ports and process.is_free(record.ports[name])):
                    record.ports[name] = process.free_port(set(record.ports.values()))
                    stale.update(group)
        return stale

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
            write_private(directory / "glance-api.conf", settings)
            (directory / "gunicorn.conf.py").write_text(config.gunicorn("glance", directory, port))
        template.point(data / "keystone" / "keystone.sqlite", urls)
        write_private(self.clouds_yaml, config.clouds(keystone_url, password))
        disks.make_images(self.site_directory)

    def _is_current(self, options: Options) -> bool:
        """Return whether this version of the sandbox made everything, so that running services may stay."""
        current = template.wanted()
        if options.object_storage and self.object_store.is_outdated():
            return False
        return is_complete(self.state / "venv", fingerprint(REQUIREMENTS)) and all(
            is_complete(self.state / name, current) for name in ("template", "data")
        )

    def _fill(self, data: Path, say: Say) -> None:
        """Copy the template, unless `data` was made from it; other versions have other tables."""
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
        if name in objectstore.SERVICES:
            return self.object_store.command(name)
        return [str(python), "-m", "gunicorn"], config.environment(self.state / "data" / name)
