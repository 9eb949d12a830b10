"""Plan files: what was asked for and what was approved, so that `apply FILE` does exactly that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openstack_image_manager.plan.approval import Approved
    from openstack_image_manager.runs.request import Request
    from openstack_image_manager.runs.run import Prepared

FORMAT = 2  # of plan files
Where = dict[str, str | None]


def write(path: Path, ready: Prepared) -> None:
    """A plan file: what was asked, where, and the plan. It names the definitions' path and holds no secrets."""
    from dataclasses import asdict

    from openstack_image_manager import files
    from openstack_image_manager.plan.approval import fingerprint
    from openstack_image_manager.report import plans

    asked = {**asdict(ready.request), "images": _absolute(ready.request.images)}
    plan = plans.plan_data(ready.plan, ready.glance.cloud)
    definitions = {each.name: fingerprint(each) for each in ready.definitions}
    content = {"format": FORMAT, "request": asked, "where": _where(ready), "day": ready.day, "definitions": definitions}
    content["plan"] = plan
    files.write(path, json.dumps(content, indent=2) + "\n")


def _where(ready: Prepared) -> Where:
    """The same name may be another cloud tomorrow, or in another environment."""
    return {"project": ready.glance.project, "region": ready.glance.region}


def _absolute(images: str) -> str:
    return images if "**" in images or images.startswith("catalogue:") else str(Path(images).absolute())


def read(path: Path) -> tuple[Request, tuple[Where, Approved]]:
    """What was asked, where, and what was approved. Raises Error."""
    from openstack_image_manager.errors import Error
    from openstack_image_manager.plan.approval import Approved
    from openstack_image_manager.plan.model import Policy
    from openstack_image_manager.runs.request import Request

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise Error(f"{path}: a plan file of another release; make it anew with `plan --out`")
        request = content["request"]
        policy = Policy(**request.pop("policy"))
        approved = Approved(content["plan"]["changes"], content["definitions"], content["day"])
        approved.rehearse()
        return Request(policy=policy, **request), (content["where"], approved)
    except OSError as error:
        raise Error(f"{path}: the plan can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Error(f"{path}: is no plan file; make one with `plan --out`") from None


def agreed(plan_file: tuple[Where, Approved], ready: Prepared) -> Prepared:
    """What of the plan is to be done as it was approved. Raises Error where it is for something else altogether."""
    from dataclasses import replace

    from openstack_image_manager.errors import Error
    from openstack_image_manager.plan import approval

    where, approved = plan_file
    if where != _where(ready):
        raise Error("the plan was made for another project or region; nothing was done: plan again")
    if refusal := approved.refusal(ready.request.policy):
        raise Error(f"{refusal}; nothing was done")
    made = approval.agreed(approved, ready.plan, ready.definitions, ready.images, ready.day)
    return replace(ready, plan=made)
