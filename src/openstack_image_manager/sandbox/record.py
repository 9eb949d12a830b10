"""Read and write the state of a sandbox between commands: running.json in its state directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from openstack_image_manager.errors import Error
from openstack_image_manager.files import replace
from openstack_image_manager.sandbox import config

_NAME = "running.json"


@dataclass(frozen=True)
class Options:
    """The options of a sandbox. A change needs `down` and `up`, except for adding an object storage."""

    convert: bool = False
    token_expiration: int = 3600
    keystone: config.Config = field(default_factory=dict)
    glance: config.Config = field(default_factory=dict)
    object_storage: bool = False


@dataclass
class Record:
    """The state of a sandbox. `down` keeps the ports, so that clouds.yaml stays valid; processes are pid and start
    time."""

    options: Options = field(default_factory=Options)
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, tuple[int, str]] = field(default_factory=dict)


def read(state: Path) -> Record:
    """Return the record in a directory; an empty one if there is none."""
    try:
        data = json.loads((state / _NAME).read_text())
        return Record(Options(**data["options"]), data["ports"], data["processes"])
    except FileNotFoundError:
        return Record()
    except (ValueError, TypeError, KeyError) as error:
        raise Error(
            f"{state}/{_NAME} cannot be understood ({error}); end the processes it names, then remove it"
        ) from error


def write(state: Path, record: Record) -> None:
    """Replace the record in one step."""
    replace(state / _NAME, json.dumps(asdict(record), indent=1).encode())
