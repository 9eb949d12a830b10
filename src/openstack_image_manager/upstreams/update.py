"""Definitions follow their upstreams: ask all of them, then edit the files that must change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from openstack_image_manager.definitions.diagnostics import Position
from openstack_image_manager.definitions.editing.edit import edit
from openstack_image_manager.definitions.editing.locked_rewrite import rewrite
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.errors import Error, Interrupted
from openstack_image_manager.upstreams import newest
from openstack_image_manager.upstreams.build import Build, Verify
from openstack_image_manager.upstreams.edits import UpdateResult, update_result
from openstack_image_manager.upstreams.sites import Sites


def update(
    definitions: Iterable[Definition],
    positions: Mapping[str, Position],
    sites: Sites,
    verify: Verify,
    today: date,
    *,
    keep: int | None = None,
    dry_run: bool = False,
) -> list[UpdateResult]:
    """What is new for each definition whose upstream can be asked, in their order; the files are changed unless
    `dry_run`. An upstream that fails, or a file that can't be edited, stops no other. `positions`: where each one
    stands; `keep`: see `news`. Who wants to stop gets what was answered until then written: the rest is Interrupted."""
    asked = [definition for definition in definitions if newest.has_upstream(definition)]
    answers = newest.check_all(asked, sites, verify)
    builds: dict[str, dict[str, Build]] = defaultdict(dict)
    found: dict[str, UpdateResult] = {}
    for definition, answer in answers:
        file = positions[definition.name].file
        if isinstance(answer, Error):
            error = Interrupted(newest.UNANSWERED) if isinstance(answer, Interrupted) else answer
            found[definition.name] = UpdateResult(definition.name, file, error=error)
        else:
            builds[file][definition.name] = answer
    try:
        for file, its in builds.items():
            found |= {each.name: each for each in _update_file(file, its, keep, today, dry_run)}
    except KeyboardInterrupt:
        found |= {name: _interrupted(name, file) for file, its in builds.items() for name in its if name not in found}
    return [found[definition.name] for definition in asked]


def _update_file(
    file: str, builds: Mapping[str, Build], keep: int | None, today: date, dry_run: bool
) -> Sequence[UpdateResult]:
    """Edit one file. What is to be edited is decided with the file in hand, since another update may have been there
    in between; definitions that can't be edited are left as they are, and told."""
    done: list[UpdateResult] = []

    def change(text: str) -> str:
        known = {definition.name: definition for definition in read(file, text.encode())[0]}
        done[:] = [
            update_result(known[name], file, build, keep, today) if name in known else _not_in_file(name, file)
            for name, build in builds.items()
        ]
        try:
            return edit(text, [each for its in done for each in its.edits], file)
        except Error:
            return _one_by_one(text, done, file)

    try:
        rewrite(file, change, only_try=dry_run)
    except Error as error:
        return [UpdateResult(name, file, error=error) for name in builds]
    return done


def _interrupted(name: str, file: str) -> UpdateResult:
    """A file is replaced whole or not at all, but which of both it was, who is interrupted meanwhile can't tell."""
    return UpdateResult(name, file, error=Interrupted(f"{file}: stopped, and this file may not be written; run again"))


def _not_in_file(name: str, file: str) -> UpdateResult:
    return UpdateResult(name, file, error=Error(f"{file}: {name} is no longer in this file; run again"))


def _one_by_one(text: str, done: list[UpdateResult], file: str) -> str:
    """The edits of each definition by themselves, so that those that can't be made stop no others."""
    for index, each in enumerate(done):
        try:
            text = edit(text, each.edits, file)
        except Error as error:
            done[index] = UpdateResult(each.name, file, each.before, error=error)
    return text
