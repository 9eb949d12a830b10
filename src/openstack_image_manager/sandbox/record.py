"""What a sandbox remembers from one command to the next: running.json in its state directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox import config

_NAME = "running.json"


@dataclass(frozen=True)
class Options:
    """How the sandbox is set up. Changing it needs a `down` and an `up`, but for an object storage that joins."""

    convert: bool = False
    token_expiration: int = 3600
    keystone: config.Config = field(default_factory=dict)
    glance: config.Config = field(default_factory=dict)
    object_storage: bool = False


@dataclass
class Record:
    """Ports survive `down`, so that clouds.yaml stays true; processes (pid and start time) do not."""

    options: Options = field(default_factory=Options)
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, tuple[int, str]] = field(default_factory=dict)


def read(state: Path) -> Record:
    """The record in that directory; an empty one if there is none."""
    try:
        found = json.loads((state / _NAME).read_text())
        return Record(Options(**found["options"]), found["ports"], found["processes"])
    except FileNotFoundError:
        return Record()
    except (ValueError, TypeError, KeyError) as error:
        raise Error(
            f"{state}/{_NAME} cannot be understood ({error}); end the processes it names, then remove it"
        ) from error


def write(state: Path, record: Record) -> None:
    """Replace the record as a whole."""
    partial = state / f"{_NAME}.partial"
    partial.write_text(json.dumps(asdict(record), indent=1))
    partial.replace(state / _NAME)
