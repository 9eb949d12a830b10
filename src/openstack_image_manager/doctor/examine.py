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
from openstack_image_manager.doctor.report import Check
from openstack_image_manager.doctor.url_answers import UrlAnswers
from openstack_image_manager.errors import CloudError, Error
from openstack_image_manager.plan.model import Plan, Policy
from openstack_image_manager.runs.planning import CloudPlanner
from openstack_image_manager.transfer.mirrors import request_url
from openstack_image_manager.upstreams.follow import Follower


@dataclass(frozen=True, slots=True)
class Examination:
    """The checks of one cloud, and the versions that a run would import into it."""

    checks: tuple[Check, ...]
    imports: tuple[tuple[Definition, Version], ...] = ()


@dataclass(frozen=True)
class Doctor:
    """Examine clouds with the same settings. `ask_glance`: let Glance download from the sites."""

    policy: Policy
    day: date
    workers: int
    ask_glance: bool = False
    loaded: Loaded | None = None
    follower: Follower | None = None

    def examine(self, name: str | None, urls: UrlAnswers) -> Examination:
        """Check one cloud, and the URLs of the versions to import."""
        definitions = self.enabled(self.loaded.definitions) if self.loaded else []
        try:
            glance = Glance.connect(name)
        except Error as error:
            return Examination((advice.no_login(str(error)),), tuple(to_import(definitions, None)))
        with closing(glance):
            checks = [cloud.login(glance)]
            try:
                checks.append(cloud.clock(glance))
                plan, known, plan_checks = self._plan(glance, definitions)
                answers = urls.ask(known)
                required = needs(known, plan, answers) if self.loaded else Needs()
                checks += plan_checks
                checks += self._cloud(glance, plan, required, answers)
            except CloudError as error:
                checks.append(_no_answer(error))
                return Examination(tuple(checks), tuple(to_import(definitions, None)))
        return Examination(tuple(checks), tuple(to_import(known, plan)))

    def enabled(self, definitions: Sequence[Definition]) -> list[Definition]:
        """Return the definitions that a run would process."""
        return [definition for definition in definitions if definition.enable or self.policy.force]

    def _plan(self, glance: Glance, definitions: list[Definition]) -> tuple[Plan | None, list[Definition], list[Check]]:
        """Plan this cloud. Return the plan, the definitions with their upstream versions, and the checks about both."""
        if self.loaded is None:
            return None, definitions, []
        why = "definitions and existing images decide what is imported"
        try:
            policy = replace(self.policy, project=glance.project)
            planner = CloudPlanner(glance, policy, self.day, {}, self.follower, self.loaded.left_out)
            plan, known, _ = planner.plan(self.loaded.definitions, [], None)
        except Error as error:
            return None, definitions, [Check("definitions", "problem", str(error), why, "see the message")]
        errors = [finding for finding in plan.findings if finding.level == "error"]
        checks = [Check("definitions", "problem", f"{f.subject}: {f.message}", why, "the definition") for f in errors]
        imports = len(to_import(definitions, plan))
        what = f"{plan.definitions} read, {plan.images} managed images here, {imports} to import"
        return plan, self.enabled(known), checks or [Check("definitions", "ok", what, why)]

    def _cloud(self, glance: Glance, plan: Plan | None, needs: Needs, answers: Mapping[str, Answer]) -> list[Check]:
        methods, stores = glance.import_methods(), glance.stores()
        kinds = cloud.store_kinds(glance)
        checks = [advice.methods(methods, needs), advice.stores(stores, kinds, needs)]
        checks.append(advice.conversion(_converts(plan), kinds, needs))
        checks += cloud.limits(glance, needs, self.workers)
        record = Probe(glance, self.policy.tag)
        checks += probe.rights(record, methods, stores, needs)
        checks += cloud.consumers(glance)
        if "web-download" in methods:
            origins = sites.origins(request_url(url) for url, answer in answers.items() if not answer.is_text)
            fetches = probe.fetches(record, origins) if self.ask_glance else None
            checks += sites.filters(origins, fetches)
        return checks


def _no_answer(error: CloudError) -> Check:
    why = "nothing can be imported while the image service does not answer"
    return Check("image service", "problem", str(error), why, "Glance, or its endpoint in the catalogue")


def _converts(plan: Plan | None) -> bool | None:
    """Return whether the cloud converts imported images; None: no image shows it."""
    known = [converts for converts in plan.converts.values() if converts is not None] if plan else []
    return any(known) if known else None
