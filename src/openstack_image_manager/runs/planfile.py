"""Write and read plan files: the request and the approved plan, which `apply FILE` carries out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openstack_image_manager.definitions.model import Visibility
from openstack_image_manager.errors import Error, UsageError

if TYPE_CHECKING:
    from openstack_image_manager.plan.approval import Approved
    from openstack_image_manager.runs.request import Request
    from openstack_image_manager.runs.run import CloudPlan

FORMAT = 3  # of plan files
MAX_BYTES = 64 * 1024 * 1024  # a plan of ten thousand imports has about 20 MiB
Where = dict[str, str | None]
_INVALID = "is not a valid plan file; make one with `plan --out`"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Policy(_Strict):
    """`plan.model.Policy`, with the values that the command line takes."""

    tag: str = Field(pattern=r"\S")
    latest: bool
    keep: bool
    force: bool
    hidden_visibility: Visibility
    use_os_hidden: bool
    outdated: Literal["keep", "hide", "deactivate", "delete"]
    retire_expired: bool = False  # plans of older releases do not have it
    grace: int = Field(ge=0, le=9999)
    orphans: Literal["keep", "hide", "delete"]
    end_promise: tuple[str, ...] = ()  # plans of older releases do not have it
    unknown_usage: Literal["keep", "delete"]
    max_deletes: int = Field(ge=0, le=2**31 - 1)
    same_ids: bool
    project: str | None


class _Request(_Strict):
    """`runs.request.Request`."""

    cloud: str | None
    images: str
    filter: str | None
    policy: _Policy
    roll_back: dict[str, str]


class _Content(_Strict):
    """The content of a plan file. The changes are validated where they are compared."""

    format: Literal[3]
    request: _Request
    where: Annotated[Where, Field(max_length=2)]
    day: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    definitions: dict[str, str]
    plan: dict[str, Any]


def write(path: Path, ready: CloudPlan) -> None:
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


def pinned(ready: CloudPlan) -> CloudPlan:
    """With the digests that checksum files give now, so that the bytes are approved too."""
    from dataclasses import replace

    from openstack_image_manager.apply import pinning

    return replace(ready, plan=pinning.pin_checksums(ready.plan))


def _where(ready: CloudPlan) -> Where:
    """The same name may be another cloud tomorrow, or in another environment."""
    return {"project": ready.glance.project, "region": ready.glance.region}


def _absolute(images: str) -> str:
    return images if "**" in images or images.startswith("catalogue:") else str(Path(images).absolute())


def read(path: Path) -> tuple[Request, tuple[Where, Approved]]:
    """The request, its project and region, and the approved plan. Raises Error."""
    from openstack_image_manager.plan.approval import Approved
    from openstack_image_manager.plan.model import Policy
    from openstack_image_manager.runs.request import Request

    data = _data(path)
    try:
        if (other := json.loads(data)["format"]) != FORMAT and isinstance(other, int):
            raise Error(f"{path}: is a plan file of another release; make a new one with `plan --out`")
        content = _Content.model_validate_json(data)
        approved = Approved(content.plan["changes"], content.definitions, content.day)
        approved.validate()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise Error(f"{path}: {_INVALID} ({place}: {first['msg'][0].lower()}{first['msg'][1:]})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Error(f"{path}: {_INVALID}") from None
    asked = content.request.model_dump()
    policy = Policy(**asked.pop("policy"))
    return Request(policy=policy, **asked), (content.where, approved)


def _data(path: Path) -> bytes:
    """The bytes of a regular file that is not too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for someone to write
        if not S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Error(f"{path}: is not a file; make a plan file with `plan --out`")
        with open(descriptor, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: cannot read the plan: {error.strerror}; make it with `plan --out`") from None
    except OSError as error:
        raise Error(f"{path}: cannot read the plan: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise Error(f"{path}: has more than {MAX_BYTES // 1024**2} MiB: {_INVALID}")
    return data


def agreed(plan_file: tuple[Where, Approved], ready: CloudPlan) -> CloudPlan:
    """The approved part of the plan. Raises Error where the plan file is for another project, region or policy."""
    from dataclasses import replace

    from openstack_image_manager.plan import approval

    where, approved = plan_file
    if where != _where(ready):
        raise Error("the plan was made for another project or region; nothing was done: plan again")
    if refusal := approved.refusal(ready.request.policy):
        raise Error(f"{refusal}; nothing was done")
    now = pinned(ready).plan
    made = approval.approved_part(approved, now, ready.definitions, ready.images, ready.day)
    return replace(ready, plan=made)
