"""Write commands that create a server: command line, Terraform and Ansible, each with correct quotes."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from openstack_image_manager.site.model import Offer


@dataclass(frozen=True, slots=True)
class Snippet:
    """A text to copy."""

    title: str
    text: str


def snippets(offer: Offer) -> tuple[Snippet, ...]:
    """Return the snippets of one image. They use its name, which follows newer builds; a community image is not listed,
    so they use its id."""
    place = offer.front.here
    named = place.visibility == "public"
    return (
        Snippet("OpenStack command line", _command(place.name if named else place.id, offer.login)),
        Snippet("Terraform", _terraform(place.name, None if named else place.id)),
        Snippet("Ansible", _ansible(place.name if named else place.id)),
    )


def _command(image: str, login: str | None) -> str:
    lines = (
        "openstack server create --wait \\",
        f"  --image {shlex.quote(image)} \\",
        "  --flavor FLAVOR --network NETWORK --key-name KEY \\",
        "  my-server",
    )
    return "\n".join([*lines, f"ssh {shlex.quote(login)}@ADDRESS"] if login else lines)


def _terraform(name: str, image_id: str | None) -> str:
    lookup = f"""data "openstack_images_image_v2" "image" {{
  name        = {hcl(name)}
  visibility  = "public"
  most_recent = true
}}

"""
    reference = "data.openstack_images_image_v2.image.id" if image_id is None else hcl(image_id)
    return f"""{lookup if image_id is None else ""}resource "openstack_compute_instance_v2" "server" {{
  name        = "my-server"
  image_id    = {reference}
  flavor_name = "FLAVOR"
  key_pair    = "KEY"

  network {{
    name = "NETWORK"
  }}

  lifecycle {{
    ignore_changes = [image_id] # a newer build does not replace the server
  }}
}}"""


def _ansible(image: str) -> str:
    return f"""- name: Create a server
  openstack.cloud.server:
    name: my-server
    image: {yaml(image)}
    flavor: FLAVOR
    network: NETWORK
    key_name: KEY
    state: present"""


def hcl(text: str) -> str:
    """Quote a string of Terraform's language, in which ${ and %{ begin templates."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def yaml(text: str) -> str:
    """Quote a YAML string that Ansible does not expand: {{ and {% would begin its templates."""
    quoted = json.dumps(text, ensure_ascii=False)
    return f"!unsafe {quoted}" if "{{" in text or "{%" in text or "{#" in text else quoted
