"""Start, recognise and stop background processes; find free ports; lock the state directory."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from openstack_image_manager.errors import Error

HOST = "127.0.0.1"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Process:
    """An entry of the process table. `started` distinguishes processes with the same pid."""

    pid: int
    group: int
    started: str
    zombie: bool


def spawn(command: Sequence[str], env: Mapping[str, str], log: Path) -> Process:
    """Start `command` in its own session and process group; append its output to `log`."""
    opened = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        list(command),
        dict(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), opened, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
    )
    process = table().get(pid)
    if process is None:
        raise Error(f"{command[0]} ended at once; its log: {log}")
    return process


def table() -> dict[int, Process]:
    """Return all processes by pid, from /proc on Linux (slim containers have no ps), otherwise from ps."""
    if Path("/proc/self/stat").exists():
        return {process.pid: process for process in _from_proc()}
    text = subprocess.run(
        ["ps", "-axo", "pid=,pgid=,stat=,lstart="], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    rows = [line.split(None, 3) for line in text.splitlines()]
    return {int(pid): Process(int(pid), int(group), at, state[0] == "Z") for pid, group, state, at in rows}


def _from_proc() -> Iterator[Process]:
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path("/proc", entry, "stat").read_text(errors="replace")
        except OSError:
            continue  # it has ended
        # proc_pid_stat(5): "pid (name) state ppid pgrp ... starttime"; the name may hold blanks and brackets
        fields = text.rpartition(")")[2].split()
        yield Process(int(entry), int(fields[2]), fields[19], fields[0] in "ZX")


def alive(pid: int, started: str) -> bool:
    """Return whether the process runs; a reused pid does not count."""
    _reap(pid)
    process = table().get(pid)
    return process is not None and process.started == started and not process.zombie


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # usually an earlier command started it
        os.waitpid(pid, os.WNOHANG)


def stop(pid: int, started: str, grace: float = 6.0) -> None:
    """End the process and its group with SIGTERM, after `grace` seconds with SIGKILL. Never ends a reused pid."""
    leader = table().get(pid)
    if leader is not None and leader.started != started:
        return
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        limit = time.monotonic() + patience
        while members := _members(pid):
            if time.monotonic() > limit:
                break
            time.sleep(0.03)
        if not members:
            return
    raise Error(f"process {pid} does not end, even by force; end it by hand, then try again")


def _members(group: int) -> list[int]:
    _reap(group)
    return [process.pid for process in table().values() if process.group == group and not process.zombie]


def free_port(taken: set[int]) -> int:
    """Return a free port below the ephemeral range, so that no connection takes it before it is bound."""
    for port in random.sample(range(20000, 32000), 200):
        if port not in taken and is_free(port):
            return port
    raise Error(f"found no free port between 20000 and 32000 on {HOST}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int, path: str = "/", timeout: float = 30.0) -> bool:
    """Return whether an HTTP server answers without a server error."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_for(services: Mapping[str, tuple[Process, int, Path]], limit: float = 90.0) -> None:
    """Wait until every service (name → process, port, log) answers. Raises `Error` if one ends or `limit` s pass."""
    waiting = dict(services)
    end = time.monotonic() + limit
    while waiting:
        for name, (started, port, log) in list(waiting.items()):
            if answers(port):
                del waiting[name]
            elif not alive(started.pid, started.started):
                raise Error(f"{name} ended while starting. Its last lines:\n{tail(log)}\nThe whole log: {log}")
            elif time.monotonic() > end:
                raise Error(
                    f"{name} does not answer after {limit:.0f} s. Its last lines:\n{tail(log)}\nThe whole log: {log}"
                )
        time.sleep(0.05)


@contextlib.contextmanager
def locked(path: Path, say: Say, limit: float = 900.0) -> Iterator[None]:
    """Lock the directory of `path` for one command; the kernel frees the lock when its holder dies.

    Raises `Error` after `limit` seconds, and for errors of files and programs inside the block.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a") as handle:
            _acquire(handle, say, limit)
            yield
    except (OSError, subprocess.SubprocessError, sqlite3.Error) as error:
        raise Error(f"the sandbox in {path.parent} failed: {error}") from error


def _acquire(handle: IO[str], say: Say, limit: float) -> None:
    end = time.monotonic() + limit
    is_reported = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise Error(f"another sandbox command still holds {handle.name} after {limit:.0f} s") from None
            if not is_reported:
                say("Waiting for another sandbox command to finish")
                is_reported = True
            time.sleep(0.1)
        else:
            return


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented, for an error message."""
    if not log.exists():
        return "  (no log was written)"
    return "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-lines:])
