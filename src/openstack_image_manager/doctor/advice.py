"""Judge what a cloud offers against what the definitions need, and say what to change."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from openstack_image_manager import humanize
from openstack_image_manager.doctor.needs import Needs
from openstack_image_manager.doctor.report import Check, State
from openstack_image_manager.plan.markers import OWN

MIB = 1024**2
ODD_CLOCK, WRONG_CLOCK = 30.0, 300.0  # seconds
NEARLY = 0.9  # of a limit
_POLICY = "Glance's policy.yaml: give {} to a role of this user (admin has it by default), or use a user who has it"
_RIGHTS = {
    "add_image": "without it nothing can be imported",
    "publicize_image": "public images need it",
    "communitize_image": "community images need it, and so do outdated public ones without --use-os-hidden or "
    "--hidden-visibility",
    "deactivate": "--outdated deactivate and `status: deactivated` need it",
    "copy_image": "copies in the `stores` of a definition need it",
    "get_members": "`members` of a definition are compared with it",
    "add_member": "`members` of a definition are added with it",
    "delete_member": "projects that are no longer in `members` are removed with it",
    "delete_image": "records of interrupted runs and outdated images are deleted with it",
}


def login(user: str, project: str, roles: Collection[str], endpoint: str) -> Check:
    """Report the user and the endpoint."""
    what = f"user '{user}', project '{project}', roles {', '.join(sorted(roles)) or '(none)'}; Glance at {endpoint}"
    why = "images are created in this project, and the roles decide what is allowed"
    return Check("login", "ok", what, why)


def no_login(message: str) -> Check:
    """Report a failed login."""
    why = "without a login nothing else of this cloud can be checked"
    return Check("login", "problem", message, why, "the cloud's entry in clouds.yaml, or the OS_* variables")


def clock(offset: float | None) -> Check:
    """`offset`: seconds that the cloud's clock is ahead of ours; None: unknown."""
    why = "tokens and object storage signatures expire by the clock, and build dates must not be in the future"
    if offset is None:
        return Check("clock", "unknown", "Glance's answers have no date", why)
    side = "ahead of" if offset > 0 else "behind"
    what = f"the cloud's clock is {abs(offset):.0f} s {side} this machine's"
    if abs(offset) <= ODD_CLOCK:
        return Check("clock", "ok", "the clocks of the cloud and of this machine agree", why)
    state: State = "problem" if abs(offset) > WRONG_CLOCK else "warning"
    return Check("clock", state, what, why, "time synchronisation (NTP) on this machine or in the cloud")


def right(name: str, allowed: bool | None, needs: Needs, message: str = "") -> Check:
    """Judge a right of this user. `allowed` is None when it is unknown; `message` has the reason."""
    why = _RIGHTS[name]
    topic = f"right {name}"
    if allowed is None:
        return Check(topic, "unknown", message, why, _POLICY.format(name))
    if allowed:
        return Check(topic, "ok", "allowed", why)
    reason = f" ({message})" if message else ""
    if name in ("add_image", "delete_image") or name in needs.rights:
        return Check(topic, "problem", f"not allowed{reason}, and it is needed", why, _POLICY.format(name))
    if name in needs.useful:
        return Check(
            topic, "warning", f"not allowed{reason}, and the definitions would use it", why, _POLICY.format(name)
        )
    if needs.known:
        return Check(topic, "ok", "not allowed, and no definition needs it", why)
    return Check(topic, "warning", f"not allowed{reason}", why, _POLICY.format(name))


def methods(enabled: Collection[str], needs: Needs) -> Check:
    """Judge the import methods that Glance offers."""
    topic, listed = "import methods", ", ".join(sorted(enabled)) or "none"
    change = "[DEFAULT] enabled_import_methods = [glance-direct,web-download,copy-image] in glance-api.conf"
    why = "images are imported by glance-direct (through this machine, verified first) or web-download (by Glance)"
    if not {"glance-direct", "web-download"} & set(enabled):
        return Check(topic, "problem", f"{listed}: no method that imports data", why, change)
    limits = []
    if "glance-direct" not in enabled:
        limits.append("without glance-direct, images can be verified only after the import, and only by sha512")
        if needs.only_local:
            limits.append(f"Glance cannot download {needs.only_local} of the images")
    if needs.stores and "copy-image" not in enabled:
        limits.append("without copy-image, existing images get no copy in their other `stores`")
    if not limits:
        return Check(topic, "ok", listed, why)
    fails = needs.only_local and "glance-direct" not in enabled
    return Check(topic, "problem" if fails else "warning", f"{listed}: {'; '.join(limits)}", why, change)


def staging(failure: str | None) -> Check:
    """Judge whether a byte could be staged."""
    why = "glance-direct keeps the data there until it is verified"
    change = "os_glance_staging_store and, with several API servers, worker_self_reference_url in glance-api.conf"
    if failure is None:
        return Check("staging", "ok", "one byte was staged and discarded", why)
    return Check("staging", "problem", f"staging failed: {failure}", why, change)


def stores(names: Collection[str], kinds: Mapping[str, str] | None, needs: Needs) -> Check:
    """Judge the stores. `names` is empty if the only store has no name; `kinds`: their types, None: unknown."""
    why = "`stores` in definitions names them, and their type decides which formats fit"
    if missing := needs.stores - set(names):
        existing = f"it has {', '.join(sorted(names))}" if names else "it has one store, without a name"
        what = f"definitions name {', '.join(sorted(missing))}, which this cloud does not have; {existing}"
        return Check("stores", "problem", what, why, "`stores` in the definitions, or enabled_backends in Glance")
    if not names:
        return Check("stores", "ok", "one, without a name", why)
    named = [f"{name} ({kinds[name]})" if kinds and name in kinds else name for name in sorted(names)]
    return Check("stores", "ok", ", ".join(named), why)


def conversion(converts: bool | None, kinds: Mapping[str, str] | None, needs: Needs) -> Check:
    """`converts`: whether images of the cloud were converted; None: no image shows it."""
    topic = "conversion to raw"
    on_ceph = "rbd" in (kinds or {}).values()
    why = "Ceph RBD clones only raw images; for other formats each server and volume gets a full copy"
    change = (
        "glance-api.conf: [image_import_opts] image_import_plugins = ['image_decompression','image_conversion'], "
        "[image_conversion] output_format = raw, [taskflow_executor] conversion_format = raw"
    )
    if needs.known and needs.formats <= {"raw", "iso"}:
        return Check(topic, "ok", "not needed: the definitions have no other formats", why)
    if converts:
        return Check(topic, "ok", "this cloud converts imported images", why)
    if converts is False and on_ceph:
        return Check(topic, "problem", "a store is Ceph RBD, and images keep their format", why, change)
    if converts is False and kinds:
        return Check(topic, "ok", "images keep their format, which fits these stores", why)
    if converts is False:
        what = "images keep their format; with Ceph RBD in Nova or Cinder they should be converted"
        return Check(topic, "warning", what, why, change)
    reason = "; a store is Ceph RBD, so images should be converted" if on_ceph else ""
    return Check(topic, "unknown", f"no managed image shows it yet{reason}", why, change)


def full(message: str) -> Check:
    """Report that Glance refuses even an empty record."""
    why = "nothing can be imported into a project that is full"
    change = "the limits of this project (image_count_total), or delete images that are not needed"
    return Check("quota", "problem", message, why, change)


def no_limits(registered: Mapping[str, int] | None, used: int | None, needs: Needs) -> Check:
    """Judge a cloud whose Glance has no unified limits. `registered`: the limits of images in Keystone; `used`: bytes
    of the project's images; None: unknown."""
    why = "all images of this tool are in one project, and count against its quota"
    change = "[DEFAULT] user_storage_quota in glance-api.conf: high enough for all images, or 0 for no limit"
    if registered:
        listed = ", ".join(f"{name} {limit}" for name, limit in sorted(registered.items()))
        what = f"Keystone has limits ({listed}), but Glance does not use them"
        return Check("quota", "warning", what, why, f"[DEFAULT] use_keystone_limits = true, or else {change}")
    usage = "" if used is None else f"this project's images take {humanize.size(used)}; "
    what = f"user_storage_quota cannot be read; {usage}{room(needs)}"
    return Check("quota", "unknown", what, why, change)


def room(needs: Needs) -> str:
    """Describe the number and the size of the imports."""
    if not needs.known:
        return "there are no definitions to compare it with"
    if not needs.imports:
        return "no image to import"
    more = f", and {needs.unsized} of unknown size" if needs.unsized else ""
    images = humanize.count(needs.imports, "image")
    return f"{images} to import: {humanize.size(needs.size)} as published, more once converted to raw{more}"


def limits(usage: Mapping[str, tuple[int, int]], needs: Needs, workers: int) -> list[Check]:
    """Judge unified limits. `usage`: used and limit by name, as Glance counts them (sizes in MiB, -1: no limit)."""
    needed = {
        "image_size_total": -(-needs.size // MIB),
        "image_count_total": needs.imports,
        "image_stage_total": -(-needs.largest // MIB),
        "image_count_uploading": min(workers, needs.imports),
    }
    return [_limit(name, used, limit, needed[name]) for name, (used, limit) in usage.items() if name in needed]


def _limit(name: str, used: int, limit: int, more: int) -> Check:
    unit = " MiB" if name in ("image_size_total", "image_stage_total") else ""
    topic = f"limit {name}"
    why = "an import beyond it is refused (413)"
    change = f"openstack limit set --service glance --resource-limit NUMBER {name}, for this project"
    if limit < 0:
        return Check(topic, "ok", f"{used}{unit} used, no limit", why)
    what = f"{used}{unit} used of {limit}{unit}, and the imports need {more}{unit} more"
    if used + more > limit:
        return Check(topic, "problem", what, why, change)
    if used + more > NEARLY * limit:
        return Check(topic, "warning", f"{what}: nearly full", why, change)
    return Check(topic, "ok", what, why)


def usage(what: str, visible: bool | None, message: str = "") -> Check:
    """Judge whether this user sees the servers or volumes (`what`) of all projects; None: there is no such service."""
    why = "images in use are not deleted, and nothing is deleted where that cannot be checked"
    topic = f"usage: {what}"
    if visible:
        return Check(topic, "ok", "this user sees those of all projects", why)
    if visible is None and what == "volumes":
        return Check(topic, "ok", "there is no block storage in the catalogue", why)
    if visible is None:
        change = "--unknown-usage delete, if images should be deleted without this check"
        return Check(topic, "unknown", "there is no compute service in the catalogue", why, change)
    rules = {
        "servers": "Nova's policy.yaml: os_compute_api:servers:index:get_all_tenants (admin has it by default)",
        "volumes": "Cinder's policy.yaml: context_is_admin (role admin by default); no other rule gives it",
    }
    return Check(topic, "warning", f"cannot check which images are in use: {message}", why, rules[what])


def signatures(missing: str | None) -> Check:
    """Judge the programs of this machine. `missing`: which signatures cannot be checked, and what to install."""
    topic, why = "signatures", "builds of upstreams that sign are refused unless their signature can be checked"
    if missing is None:
        return Check(topic, "ok", "this machine can check them", why)
    what, _, change = missing.partition(": ")
    return Check(topic, "warning", what, why, change)


def inheritance() -> Check:
    """Name the setting of Nova, which cannot be read."""
    why = "Nova copies image properties to servers and their snapshots, where these properties are false"
    line = f"nova.conf: [DEFAULT] non_inheritable_image_properties = {','.join(('cache_in_nova', 'bittorrent', *OWN))}"
    return Check("snapshots", "unknown", "Nova does not report which properties its snapshots inherit", why, line)
