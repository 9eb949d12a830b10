"""A program for Nova's and Cinder's own Python: writes servers, or volumes and the like, into one service's database.

It reads one JSON object in each line, makes what it describes with the service's own objects, and prints `id ID`.
Arguments: nova or cinder, and the folder of its configuration.
"""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any


class Nova:
    """Two cells, and servers in the second one."""

    def __init__(self, folder: str) -> None:
        from nova import config, context, objects

        self.objects, self.context = objects, context
        config.parse_args(["nova", f"--config-file={folder}/nova.conf"])
        objects.register_all()
        self.admin = context.get_admin_context()
        for name, cell in (("cell0", objects.CellMapping.CELL0_UUID), ("cell1", str(uuid.uuid4()))):
            self.cell = objects.CellMapping(
                self.admin,
                uuid=cell,
                name=name,
                transport_url="none:///" if name == "cell0" else "fake://",
                database_connection=f"sqlite:///{folder}/{name}.sqlite",
                disabled=False,
            )
            self.cell.create()

    def server(self, project: str, image: str, state: str = "active") -> str:
        """`image` is empty for a server that boots from a volume."""
        made, objects = str(uuid.uuid4()), self.objects
        objects.InstanceMapping(self.admin, instance_uuid=made, cell_mapping=self.cell, project_id=project).create()
        with self.context.target_cell(self.admin, self.cell) as cell:
            flavor = objects.Flavor(
                id=1, flavorid="1", name="small", memory_mb=64, vcpus=1, root_gb=1, ephemeral_gb=0, swap=0,
                rxtx_factor=1.0, vcpu_weight=0, disabled=False, is_public=True, extra_specs={}, description=None,
            )  # fmt: skip
            instance = objects.Instance(
                cell,
                uuid=made,
                project_id=project,
                user_id="nobody",
                image_ref=image,
                vm_state="building",
                task_state=None,
                power_state=1,
                display_name="server",
                host="here",
                flavor=flavor,
                system_metadata={},
                metadata={},
            )
            instance.create()
            instance.vm_state = state
            instance.save()
            if state == "deleted":
                instance.destroy()
        return made


class Cinder:
    """Volumes, their snapshots and backups."""

    def __init__(self, folder: str) -> None:
        from cinder import context, objects, version
        from cinder.common import config
        from cinder.db import api
        from oslo_config import cfg

        self.db = api
        objects.register_all()
        cfg.CONF([f"--config-file={folder}/cinder.conf"], project="cinder", version=version.version_string())
        assert config.CONF is cfg.CONF
        self.context = context.get_admin_context()
        self.type = api.volume_type_get_all(self.context)["__DEFAULT__"]["id"]

    def volume(self, project: str, image: str | None = None) -> str:
        """With `image`, one that was made from it, from a snapshot of such a volume, or as a copy of one."""
        made = str(uuid.uuid4())
        values = {"id": made, "project_id": project, "user_id": "nobody", "size": 1, "status": "available",
                  "attach_status": "detached", "volume_type_id": self.type, "use_quota": True}  # fmt: skip
        self.db.volume_create(self.context, values)
        if image:
            self.db.volume_glance_metadata_create(self.context, made, "image_id", image)
        return made

    def snapshot(self, project: str, volume: str) -> str:
        """A snapshot of that volume."""
        values = {"project_id": project, "user_id": "nobody", "volume_id": volume, "volume_size": 1,
                  "status": "available", "volume_type_id": self.type, "use_quota": True}  # fmt: skip
        made = self.db.snapshot_create(self.context, values)["id"]
        self.db.volume_glance_metadata_copy_to_snapshot(self.context, made, volume)
        return str(made)


def main() -> None:
    """Answer line after line until there are no more."""
    name, folder = sys.argv[1:]
    sys.argv = sys.argv[:1]
    service: Any = {"nova": Nova, "cinder": Cinder}[name](folder)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print("id", getattr(service, order.pop("kind"))(**order), flush=True)


if __name__ == "__main__":
    main()
