"""List the images of the clouds of a site, once each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from openstack_image_manager.catalogue import entries as catalogue
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.defaults import CATALOGUE
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.endoflife import check, data
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.runs.references import References


def images(
    cloud: str | None, definitions: Sequence[Definition], tag: str
) -> tuple[str, Sequence[Image], list[Finding]]:
    """Return the name of the cloud, its managed images, and findings about definitions with an unknown owner. Raises
    CloudError."""
    with closing(Glance.connect(cloud)) as glance:
        owned = [definition.model_copy(update={"members": None, "stores": None}) for definition in definitions]
        known, troubles = References(glance).resolve(owned, force=True)
        troubles += [Finding("warning", "clouds.yaml", note) for note in glance.notes]
        # A cloud from OS_* variables has no name, but tenants know its region.
        name = cloud or glance.region or glance.cloud
        return name, glance.list(tag, {definition.owner for definition in known}), troubles


def signers() -> dict[str, str]:
    """Return the owner of each key that the catalogue pins, by fingerprint."""
    loaded = load(CATALOGUE)
    known = data.catalogue()
    labels = {use.definition.name: use.product.label for use in check.uses(known, loaded.definitions)}
    entries = catalogue.entries(loaded.definitions, loaded.positions)
    return {key: labels.get(entry.name, entry.name) for entry in entries for key in entry.keys}
