"""`python -m benchmarks.check JOB`: the update check of the whole catalogue at copies of its sites.

The copies can't sign with the keys of distributions, so signatures are stand-ins here; everything else is as in a run
of `update`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.upstreams import verify

from openstack_image_manager.definitions.loader import load
from openstack_image_manager.errors import Error
from openstack_image_manager.upstreams.newest import check_all
from openstack_image_manager.upstreams.sites import Sites


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answers = check_all(load("catalogue:").definitions, Sites(mirrors=job["mirrors"]), verify)
    failed = [f"{definition.name}: {answer}" for definition, answer in answers if isinstance(answer, Error)]
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
