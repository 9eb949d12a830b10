"""Run all checks of one cloud and of this machine, in the order in which they are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.definitions.loader import Loaded
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.doctor import advice, cloud, probe, sites
from openstack_image_manager.doctor.needs import Answer, Needs, needs, to_import
from openstack_image_manager.doctor.probe import Probe
from openstack_image_manager.doctor.reach import Reached
from openstack_image_manager.doctor.report import Check
from openstack_image_manager.errors import CloudError, Error
from openstack_image_manager.plan.model import Plan, Policy
from openstack_image_manager.runs.planning import CloudPlanner
from openstack_image_manager.upstreams.follow import Follower


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one cloud, and the versions that are to be imported into it."""

    checks: tuple[Check, ...]
    wanted: tuple[tuple[Definition, Version], ...] = ()


@dataclass(frozen=True)
class Doctor:
    """What does not depend on the cloud. `ask_glance`: Glance may be asked to fetch from the sites."""

    policy: Policy
    day: date
    workers: int
    ask_glance: bool = False
    loaded: Loaded | None = None
    follower: Follower | None = None

    def examine(self, name: str | None, reached: Reached) -> Found:
        """Look at everything in one cloud, and at the addresses of what is to be brought into it."""
        definitions = self.enabled(self.loaded.definitions) if self.loaded else []
        try:
            glance = Glance.connect(name)
        except Error as error:
            return Found((advice.no_login(str(error)),), tuple(to_import(definitions, None)))
        with closing(glance):
            checks = [cloud.login(glance)]
            try:
                checks.append(cloud.clock(glance))
                plan, known, trouble = self._plan(glance, definitions)
                answers = reached.ask(known)
                wanted = needs(known, plan, answers) if self.loaded else Needs()
                checks += trouble
                checks += self._cloud(glance, plan, wanted, answers)
            except CloudError as error:
                checks.append(_silent(error))
                return Found(tuple(checks), tuple(to_import(definitions, None)))
        return Found(tuple(checks), tuple(to_import(known, plan)))

    def enabled(self, definitions: Sequence[Definition]) -> list[Definition]:
        """Those that a run would look at."""
        return [definition for definition in definitions if definition.enable or self.policy.force]

    def _plan(self, glance: Glance, definitions: list[Definition]) -> tuple[Plan | None, list[Definition], list[Check]]:
        """The plan, the definitions with the versions that they follow, and what stands in the way of one."""
        if self.loaded is None:
            return None, definitions, []
        why = "what is to be imported, and into what, follows from the definitions and the images that are there"
        try:
            policy = replace(self.policy, project=glance.project)
            outlook = CloudPlanner(glance, policy, self.day, {}, self.follower, self.loaded.left_out)
            plan, known, _ = outlook.plan(self.loaded.definitions, [], None)
        except Error as error:
            return None, definitions, [Check("definitions", "problem", str(error), why, "what the message says")]
        told = [finding for finding in plan.findings if finding.level == "error"]
        checks = [Check("definitions", "problem", f"{f.subject}: {f.message}", why, "the definition") for f in told]
        imports = len(to_import(definitions, plan))
        what = f"{plan.definitions} read, {plan.images} managed images here, {imports} to import"
        return plan, self.enabled(known), checks or [Check("definitions", "ok", what, why)]

    def _cloud(self, glance: Glance, plan: Plan | None, needs: Needs, answers: Mapping[str, Answer]) -> list[Check]:
        methods, stores = glance.import_methods(), glance.stores()
        kinds = cloud.store_kinds(glance)
        checks = [advice.methods(methods, needs), advice.stores(stores, kinds, needs)]
        checks.append(advice.conversion(_converts(plan), kinds, needs))
        checks += cloud.limits(glance, needs, self.workers)
        asked = Probe(glance, self.policy.tag)
        checks += probe.rights(asked, methods, stores, needs)
        checks += cloud.consumers(glance)
        if "web-download" in methods:
            origins = sites.origins(url for url, answer in answers.items() if not answer.is_text)
            fetches = probe.fetches(asked, origins) if self.ask_glance else None
            checks += sites.filters(origins, fetches)
        return checks


def _silent(error: CloudError) -> Check:
    why = "nothing can be imported while the image service does not answer"
    return Check("image service", "problem", str(error), why, "Glance itself, or its address in the catalogue")


def _converts(plan: Plan | None) -> bool | None:
    """Whether the cloud converts any format that it imports; None: nothing tells."""
    shown = [converts for converts in plan.converts.values() if converts is not None] if plan else []
    return any(shown) if shown else None
