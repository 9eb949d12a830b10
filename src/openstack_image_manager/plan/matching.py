"""Find the definition and the version that an image of the cloud belongs to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from openstack_image_manager.definitions.model import Definition, public_url
from openstack_image_manager.model import WHOLE, Finding, Image
from openstack_image_manager.plan import markers, retention

Key = tuple[str, str]


def identify(image: Image, definitions: Mapping[str, Definition]) -> Key | None:
    """(definition, version) of an image: by its properties, else by its id, else by its name; None: none of these.

    Never by the Glance name when properties say otherwise: names are not unique. Images of earlier tools may lack
    `image_name`; their `image_description` is the definition's name by default.
    """
    properties = image.properties
    name = properties.get("image_name")
    if name is not None and name in definitions and "internal_version" in properties:
        return name, properties["internal_version"]
    if by_id := _by_id(image.id, definitions):
        return by_id
    if name is not None:
        definition = definitions.get(name) or _by_former_name(name, definitions)
    else:
        description = properties.get("image_description", "")
        definition = (
            definitions.get(description)
            or _by_name(image.name, definitions)
            or _by_former_name(description, definitions)
            or _by_former_name(image.name, definitions)
        )
    if definition is None:
        return None
    version = properties.get("internal_version") or version_in_name(image.name, definition)
    if version is None:
        version = _by_source(properties.get("image_source", ""), definition)
    return (definition.name, version) if version is not None else None


def _by_source(source: str, definition: Definition) -> str | None:
    """The version that was imported from there; None where several can be it, since a query is not always kept."""
    fitting = [version.version for version in definition.versions if version.url == source] or [
        version.version for version in definition.versions if public_url(version.url) == public_url(source)
    ]
    return fitting[0] if len(fitting) == 1 else None


def belongs(image: Image, definition: Definition, project: str | None) -> bool:
    """True for an image that we may manage: public, of our own project (None: of any), or of the project that
    the definition gives its images to."""
    return image.visibility == "public" or project is None or image.owner in (project, definition.owner)


def foreign_image_errors(
    images: Iterable[Image], definitions: Iterable[Definition], force: bool = False
) -> list[Finding]:
    """Errors about enabled definitions (`force`: all) that have images of other projects: those are never changed, and
    an import would make a second image of the same name."""
    known = {definition.name: definition for definition in definitions}
    by_definition: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        key = identify(image, known)
        if key is not None and (force or known[key[0]].enable):
            by_definition[key[0]].append(image)
    return [Finding("error", name, _others_message(others)) for name, others in by_definition.items()]


def id_conflicts(
    images: Iterable[Image], definitions: Iterable[Definition], owners: Collection[str | None]
) -> dict[str, Finding]:
    """Ids of versions that an image with another id is already, each with a warning: the image that is there stays, and
    the one that the definition names is not touched. `owners`: whose images count; empty: everybody's."""
    known = {definition.name: definition for definition in definitions}
    keys = {image.id: identify(image, known) for image in images}
    standing = {
        key: image
        for image in images
        if image.status in WHOLE and (not owners or image.owner in owners) and (key := keys[image.id])
    }
    wanted = {(d.name, v.version): v.id for d in known.values() for v in d.offered if v.id}
    return {
        named: Finding("warning", key[0], _other_id(key[1], named, standing[key].id, keys.get(named)))
        for key, named in wanted.items()
        if key in standing and keys.get(named) != key
    }


def _other_id(version: str, named: str, existing: str, named_key: Key | None) -> str:
    """`there`: the image that is the version; `other`: what the image with the `named` id is, if it is managed."""
    message = f"version {version} is defined with the id {named}, but {existing} is that version"
    if named_key:
        also = f"{named} is version {named_key[1]} of {named_key[0]}"
        return f"{message}, and {also}: neither is touched for it; correct the id in the definition"
    return f"{message}: neither is touched; remove the id from the definition, or delete {existing}"


def namesake_findings(namesakes: Iterable[Image], tag: str, project: str | None) -> list[Finding]:
    """Report images that have the name of a managed one, but are not managed: they stay as they are. An image that a
    run is just creating is left out: Glance writes its tags last."""
    findings = []
    foreign: dict[tuple[str, str], list[Image]] = defaultdict(list)
    for image in namesakes:
        if image.status == "queued" and markers.is_pending(image):
            continue
        if image.owner == project:
            message = f"{image.id} has the same name, but not the tag {tag}: not changed"
            hint = f"to manage it: openstack image set --tag {tag} {image.id}"
            findings.append(Finding("warning", image.name, f"{message}; {hint}"))
        elif image.visibility in ("public", "community"):
            foreign[image.name, image.visibility].append(image)
    return findings + [
        Finding("note", name, _theirs_message(visibility, images)) for (name, visibility), images in foreign.items()
    ]


def _theirs_message(visibility: str, images: Sequence[Image]) -> str:
    """One line, however many images strangers make."""
    first = images[0]
    if len(images) == 1:
        return f"the {visibility} image {first.id} of project {first.owner} has the same name: not changed"
    ids, projects = sorted(image.id for image in images), len({image.owner for image in images})
    some = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
    of = f"project {first.owner}" if projects == 1 else f"{projects} projects"
    return f"{len(images)} {visibility} images of {of} have the same name ({some}): not changed"


def _others_message(images: Sequence[Image]) -> str:
    first = images[0]
    return (
        f"left alone: the image {first.id} with this tag belongs to project {first.owner} (there are {len(images)}); "
        "log in to that project, give its images to yours (openstack image set --project), or use a --tag of your own"
    )


def _by_id(image_id: str, definitions: Mapping[str, Definition]) -> Key | None:
    """The version that is to have this very id."""
    if not image_id:
        return None
    ids = ((d.name, v) for d in definitions.values() for v in d.versions)
    return next(((name, version.version) for name, version in ids if version.id == image_id), None)


def _by_name(name: str, definitions: Mapping[str, Definition]) -> Definition | None:
    # Every beginning of the name, the longest first, rather than every definition: there may be thousands of both.
    fitting = (definitions[name[:length]] for length in range(len(name), 0, -1) if name[:length] in definitions)
    return next((d for d in fitting if d.name == name or version_in_name(name, d) is not None), None)


def _by_former_name(name: str, definitions: Mapping[str, Definition]) -> Definition | None:
    """The definition that had this name before, or whose images had it."""
    renamed = (definition for definition in definitions.values() if definition.former_names)
    return next((d for d in renamed if name in d.former_names or version_in_name(name, d) is not None), None)


def version_in_name(name: str, definition: Definition) -> str | None:
    """The version that an image's name says, for a name that the definition has or had; None: it says none."""
    versions = (_version_after(name, plain + definition.separator, definition) for plain in definition.names)
    return next((version for version in versions if version is not None), None)


def _version_after(name: str, beginning: str, definition: Definition) -> str | None:
    rest = name.removeprefix(beginning)
    if rest == name:
        return None
    if definition.multi:
        dated = re.fullmatch(r"\((.+)\)", rest)
        return dated.group(1) if dated else None
    return rest if any(version.version == rest for version in definition.versions) else None


def is_usable(image: Image | None, checksum: str | None = None) -> bool:
    """True for an image with bytes that may be published; `checksum` is that of its version."""
    return image is not None and image.status in WHOLE and not markers.has_wrong_bytes(image, checksum)


def choose_per_version(
    found: Sequence[tuple[str, Image]],
    status: str = "active",
    claim: Callable[[str, Image], int] = lambda _build, _image: 0,
    usable: Callable[[str, Image], bool] = lambda _build, image: is_usable(image),
) -> tuple[dict[str, Image], list[tuple[str, Image]]]:
    """The image to use for each version (`usable`, of the best `claim`, of the status that the definition wants,
    seen by most, oldest), and the others with their versions. Images are identified by their ids."""

    # One that has the status already, not the active one: what a run deactivates would not be the one of the next run.
    def standing(version: str, image: Image) -> tuple[bool, int, bool, int, bool, str, str]:
        wide, retired = retention.WIDEST_FIRST.index(image.visibility), markers.HIDDEN_SINCE in image.properties
        unusable = not usable(version, image)
        return unusable, claim(version, image), image.status != status, wide, retired, image.created_at, image.id

    candidates: dict[str, dict[str, Image]] = defaultdict(dict)
    for version, image in found:
        candidates[version][image.id] = image
    ordered = {v: sorted(images.values(), key=lambda image: standing(v, image)) for v, images in candidates.items()}
    others = [(version, image) for version, images in ordered.items() for image in images[1:]]
    return {version: images[0] for version, images in ordered.items()}, others
