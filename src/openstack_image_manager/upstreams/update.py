"""Update definitions from their upstreams: query all of them, then edit the files that change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from openstack_image_manager.definitions.diagnostics import Position
from openstack_image_manager.definitions.editing.edit import edit
from openstack_image_manager.definitions.editing.locked_rewrite import rewrite
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.definitions.resolvers.shipped import has_upstream
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
    """Return the result of each definition that has an upstream, in order, and edit the files unless `dry_run` is set.

    A failed upstream, or a file that cannot be edited, stops no other. `positions`: where each definition is. `keep`:
    see `update_result`. After Ctrl-C, the results so far are written; the others are Interrupted.
    """
    followed = [definition for definition in definitions if has_upstream(definition)]
    answers = newest.check_all(followed, sites, verify)
    builds: dict[str, dict[str, Build]] = defaultdict(dict)
    results: dict[str, UpdateResult] = {}
    for definition, answer in answers:
        file = positions[definition.name].file
        if isinstance(answer, Error):
            error = Interrupted(newest.UNANSWERED) if isinstance(answer, Interrupted) else answer
            results[definition.name] = UpdateResult(definition.name, file, error=error)
        else:
            builds[file][definition.name] = answer
    try:
        for file, file_builds in builds.items():
            results |= {result.name: result for result in _update_file(file, file_builds, keep, today, dry_run)}
    except KeyboardInterrupt:
        results |= {
            name: _interrupted(name, file)
            for file, file_builds in builds.items()
            for name in file_builds
            if name not in results
        }
    return [results[definition.name] for definition in followed]


def _update_file(
    file: str, builds: Mapping[str, Build], keep: int | None, today: date, dry_run: bool
) -> Sequence[UpdateResult]:
    """Edit one file.

    The edits are computed from the current text, as another update may have changed it; definitions that cannot be
    edited stay unchanged and are reported.
    """
    results: list[UpdateResult] = []

    def change(text: str) -> str:
        known = {definition.name: definition for definition in read(file, text.encode())[0]}
        results[:] = [
            update_result(known[name], file, build, keep, today) if name in known else _not_in_file(name, file)
            for name, build in builds.items()
        ]
        try:
            return edit(text, [field_edit for result in results for field_edit in result.edits], file)
        except Error:
            return _one_by_one(text, results, file)

    try:
        rewrite(file, change, only_try=dry_run)
    except Error as error:
        return [UpdateResult(name, file, error=error) for name in builds]
    return results


def _interrupted(name: str, file: str) -> UpdateResult:
    """Report that it is unknown whether the file was replaced; it is never replaced in part."""
    return UpdateResult(name, file, error=Interrupted(f"{file}: stopped, and this file may not be written; run again"))


def _not_in_file(name: str, file: str) -> UpdateResult:
    return UpdateResult(name, file, error=Error(f"{file}: {name} is no longer in this file; run again"))


def _one_by_one(text: str, results: list[UpdateResult], file: str) -> str:
    """Apply the edits of each definition alone, so that a failed edit stops no other."""
    for index, result in enumerate(results):
        try:
            text = edit(text, result.edits, file)
        except Error as error:
            results[index] = UpdateResult(result.name, file, result.before, error=error)
    return text
