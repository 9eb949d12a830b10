"""`pure_plan.py COUNT`: seconds for the plan of so many definitions and as many images; every tenth image differs."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from datetime import date

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan.desired import wanted_image
from openstack_image_manager.plan.model import Policy, Role, Stage
from openstack_image_manager.plan.planner import plan

META = {f"hw_property_{number}": "value" for number in range(8)}
EVERY = 10


def definition(number: int) -> Definition:
    version = {"version": "20260101", "url": f"https://example.org/{number}.img", "checksum": f"sha256:{number:064x}"}
    meta = {**META, "architecture": "x86_64", "os_distro": "ubuntu", "os_version": "24.04"}
    data = {"name": f"Bench {number:05}", "format": "qcow2", "multi": True, "visibility": "public", "meta": meta}
    return Definition.model_validate({**data, "min_disk": 1, "versions": [version]})


def image(of: Definition, number: int) -> Image:
    role = Role(True, False, False, Stage.KEEP, "", "public", False)
    made = wanted_image(of, of.versions[0], role, Policy().tag)
    found = replace(made, id=f"{number:036}", owner="ours", size=1, virtual_size=1, created_at="2026-01-01T00:00:00Z")
    return found if number % EVERY else replace(found, min_ram=1)


def main() -> None:
    count = int(sys.argv[1])
    definitions = [definition(number) for number in range(count)]
    images = [image(each, number) for number, each in enumerate(definitions)]
    begun = time.process_time()
    made = plan(definitions, images, Policy(project="ours"), date(2026, 11, 22), names={d.name for d in definitions})
    seconds = time.process_time() - begun
    if len(made.changes) != len(range(0, count, EVERY)):
        sys.exit(f"the plan has {len(made.changes)} changes")
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
