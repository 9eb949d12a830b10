"""A real Dask cluster on loopback: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from openstack_image_manager.sandbox.process import free_port

HOST = "127.0.0.1"


@dataclass
class DaskCluster:
    """`workers`: their processes by their names."""

    directory: Path
    port: int = field(default_factory=lambda: free_port(set()))
    workers: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    ready: dict[str, threading.Event] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    readers: list[threading.Thread] = field(default_factory=list)
    scheduler: subprocess.Popen[str] | None = None

    @property
    def executor(self) -> str:
        return f"dask://{HOST}:{self.port}"

    def start_scheduler(self, settings: Mapping[str, str]) -> None:
        options = ["--host", HOST, "--port", str(self.port), "--no-dashboard", "--no-show"]
        self.scheduler = self._start("scheduler", options, settings, "Scheduler at:")
        assert self.ready["scheduler"].wait(60), self.logs

    def start_workers(self, names: list[str], environment: Mapping[str, str]) -> None:
        """One thread each, with this environment; returns when all are known to the scheduler."""
        for name in names:
            options = [f"tcp://{HOST}:{self.port}", "--host", HOST, "--no-dashboard", "--no-nanny", "--nthreads", "1"]
            options += ["--name", name, "--local-directory", str(self.directory / name)]
            self.workers[name] = self._start(name, options, environment, "Registered to:")
        assert all(self.ready[name].wait(60) for name in names), self.logs

    def _start(self, name: str, options: list[str], more: Mapping[str, str], ready: str) -> subprocess.Popen[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "AWS_"))}
        command = [sys.executable, "-m", f"distributed.cli.dask_{'scheduler' if name == 'scheduler' else 'worker'}"]
        process = subprocess.Popen(
            [*command, *options],
            env={**clean, "DASK_TEMPORARY_DIRECTORY": str(self.directory), **more},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        event = self.ready.setdefault(name, threading.Event())

        def read() -> None:
            assert process.stderr
            with process.stderr as lines:
                for line in lines:
                    self.logs.append(f"{name}: {line.rstrip()}")
                    if ready in line:
                        event.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self.readers.append(reader)
        return process

    def stop(self) -> None:
        for process in [*self.workers.values(), *([self.scheduler] if self.scheduler else [])]:
            process.kill()
            process.wait(30)
        for reader in self.readers:
            reader.join(30)


@contextmanager
def cluster(directory: Path, **settings: str) -> Iterator[DaskCluster]:
    """A scheduler without workers; `settings` are variables of Dask's configuration."""
    made = DaskCluster(directory)
    try:
        made.start_scheduler(settings)
        yield made
    finally:
        made.stop()


class Wire(threading.Thread):
    """A wire between clients and a scheduler that keeps all that clients send through it."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._target = port
        self._server = socket.create_server((HOST, 0))
        self.port: int = self._server.getsockname()[1]
        self.sent = bytearray()
        self._open: list[socket.socket] = [self._server]

    @property
    def executor(self) -> str:
        return f"dask://{HOST}:{self.port}"

    def run(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
                scheduler = socket.create_connection((HOST, self._target))
            except OSError:
                return
            self._open += [client, scheduler]
            for one, other, kept in ((client, scheduler, self.sent), (scheduler, client, bytearray())):
                threading.Thread(target=self._pass_on, args=(one, other, kept), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, kept: bytearray) -> None:
        try:
            while data := one.recv(65536):
                kept += data
                other.sendall(data)
        except OSError:
            pass
        finally:
            for each in (one, other):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in self._open:
            each.close()
