"""What a command tells, once for people and programs alike: plain values, Markdown, and cases of JUnit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openstack_image_manager import render
from openstack_image_manager.cli.run import Clouds, Prepared
from openstack_image_manager.doctor import report as health
from openstack_image_manager.doctor.report import Check
from openstack_image_manager.errors import Error
from openstack_image_manager.format import public_url
from openstack_image_manager.junit import Case
from openstack_image_manager.metrics import Cloud
from openstack_image_manager.mirroring import report
from openstack_image_manager.mirroring.report import Outcome
from openstack_image_manager.mirroring.target import Target
from openstack_image_manager.mirroring.verdict import Plan as MirrorPlan
from openstack_image_manager.mirroring.verdict import Verdict
from openstack_image_manager.model import Finding
from openstack_image_manager.plan_model import Result
from openstack_image_manager.status import Row, table
from openstack_image_manager.status import data as row_data
from openstack_image_manager.upstreams import news as words
from openstack_image_manager.upstreams.news import News

if TYPE_CHECKING:
    from openstack_image_manager.tenants.folder import Written
    from openstack_image_manager.tenants.offers import Site


@dataclass(frozen=True, slots=True)
class Content:
    """The same content in three forms, each made when it is asked for."""

    data: Callable[[], dict[str, Any]]
    markdown: Callable[[], str]
    cases: Callable[[], Sequence[Case]]


def of_clouds(clouds: Clouds, applies: bool) -> Content:
    """Plans of clouds and, where it `applies` them, what became of them."""
    return Content(
        lambda: {
            "clouds": [_cloud_data(each, clouds.results.get(each.glance.cloud)) for each in clouds.ready],
            "failed": {cloud: str(error) for cloud, error in _failed(clouds).items()},
        },
        lambda: "\n".join(
            [
                *(_cloud_markdown(each, clouds.results.get(each.glance.cloud)) for each in clouds.ready),
                *(f"**error** {render.markdown(str(error))}\n" for error in _failed(clouds).values()),
            ]
        ),
        lambda: [
            *(case for each in clouds.ready for case in _cases(each, clouds.results.get(each.glance.cloud), applies)),
            *(Case("cloud", cloud, failure=str(error)) for cloud, error in _failed(clouds).items()),
        ],
    )


def _cloud_data(each: Prepared, results: Sequence[Result] | None) -> dict[str, Any]:
    data = render.plan_data(each.plan, each.glance.cloud)
    if results is not None:
        data["results"] = [
            {"definition": r.definition, "state": r.state, "done": list(r.done), "message": r.message} for r in results
        ]
    return data


def _cloud_markdown(each: Prepared, results: Sequence[Result] | None) -> str:
    text = render.plan_markdown(each.plan, each.glance.cloud)
    if not results:
        return text
    rows = [["definition", "state", "what was done"]]
    rows += [[r.definition, r.state, "; ".join(filter(None, (*r.done, r.message)))] for r in results]
    return f"{text}\n" + render.table_markdown(f"Results in {each.glance.cloud}", render.counts(results), rows)


def _failed(clouds: Clouds) -> dict[str, Error]:
    return {**clouds.failed, **clouds.refused}


def _cases(each: Prepared, results: Sequence[Result] | None, applies: bool) -> Iterable[Case]:
    """One for each definition: a failure, or what was not done and why."""
    became = {result.definition: result for result in results or ()}
    errors = {f.subject: f.message for f in each.plan.findings if f.level == "error"}
    pending: dict[str, list[str]] = {}
    for change in each.plan.changes:
        pending.setdefault(change.group, []).append(f"{change.subject}: {change.reason}")
    names = dict.fromkeys([*(d.name for d in each.definitions), *pending, *became, *errors])
    for name in names:
        result = became.get(name)
        failure = errors.get(name) or (result.message if result and result.state == "failed" else None)
        skipped = result.message if result and result.state == "skipped" else None
        if result is None and name in pending:
            skipped = ("not done: " if applies else "to be done: ") + "\n".join(pending[name])
        yield Case(name, each.glance.cloud, failure, skipped)


def metrics(clouds: Clouds, applies: bool, rows: Callable[[Prepared], Sequence[Row]]) -> list[Cloud]:
    """The clouds as they stand after the run, for metrics; complete are those whose plans were carried out, where the
    run `applies` them."""
    found, failed = [], _failed(clouds)
    for each in clouds.ready:
        results = clouds.results.get(each.glance.cloud, ())
        errors = [f for f in each.plan.findings if f.level == "error"]
        failures = [r.kind for r in results if r.state == "failed"] + ["definition" for _ in errors]
        if (refusal := failed.get(each.glance.cloud)) is not None:
            failures.append(refusal.kind)
        now = clouds.after.get(each.glance.cloud, each)
        done = not applies or each.glance.cloud in clouds.results
        complete = done and not failures and all(r.state == "ok" for r in results)
        found.append(Cloud(each.glance.cloud, now.plan, rows(now), failures, complete))
    ready = {each.name for each in found}
    return found + [Cloud(name, None, (), [e.kind]) for name, e in failed.items() if name not in ready]


def of_status(
    rows: Mapping[str, Sequence[Row]], failed: Mapping[str, str], findings: Mapping[str, Sequence[Finding]]
) -> Content:
    """How the versions stand. By cloud: its rows, why it could not be looked at, what its plan found."""
    errors = [(cloud, each) for cloud, its in findings.items() for each in its if each.level == "error"]

    def markdown() -> str:
        tables = [
            render.table_markdown(f"Images in {cloud}", render.count(len(its), "version"), table(its))
            for cloud, its in rows.items()
        ]
        said = [*(f"{each.subject}: {each.message}" for _, each in errors), *failed.values()]
        return "\n".join([*tables, *(f"**error** {render.markdown(error)}\n" for error in said)])

    def cases() -> list[Case]:
        found = [_row_case(cloud, row) for cloud, its in rows.items() for row in its]
        found += [Case(each.subject, cloud, failure=each.message) for cloud, each in errors]
        return found + [Case("cloud", cloud, failure=error) for cloud, error in failed.items()]

    return Content(lambda: status_data(rows, failed, findings), markdown, cases)


def status_data(
    rows: Mapping[str, Sequence[Row]], failed: Mapping[str, str], findings: Mapping[str, Sequence[Finding]]
) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "clouds": {name: row_data(its) for name, its in rows.items()},
        "findings": {name: [asdict(each) for each in its] for name, its in findings.items()},
        "failed": dict(failed),
    }


def _row_case(cloud: str, row: Row) -> Case:
    failure = row.words if row.lacks else row.late or None
    return Case(f"{row.definition} {row.version}", cloud, failure, None if row.state == "ok" else row.words)


def of_news(found: Sequence[News]) -> Content:
    """What upstreams published."""
    return Content(
        lambda: {"definitions": [words.data(each) for each in found]},
        lambda: render.news_markdown(found),
        lambda: [_news_case(each) for each in found],
    )


def _news_case(each: News) -> Case:
    why = str(each.error) if each.error else None
    return Case(each.name, each.file, *((None, why) if each.state == "interrupted" else (why, None)))


def of_mirror(
    made: MirrorPlan,
    where: Target,
    outcomes: Sequence[Outcome],
    dry_run: bool,
    failed: Mapping[str, Error] | None = None,
) -> Content:
    """What is in the bucket, and what came into it. `failed`: what follows the copies, as far as it failed by then."""
    became = {id(each.judged): each for each in outcomes}
    wrong: Mapping[str, Error] = {} if failed is None else failed

    def cases() -> Iterable[Case]:
        for judged in made.judged:
            outcome = became.get(id(judged))
            failure = outcome.message if outcome and outcome.state == "failed" else None
            if judged.is_hopeless:
                failure = f"{judged.verdict}: {judged.reason}"
            skipped = outcome.message or "interrupted" if outcome and outcome.state == "skipped" else None
            if outcome is None and dry_run and judged.verdict is not Verdict.CURRENT:
                skipped = f"to be done: {judged.verdict}: {judged.reason}"
            yield Case(judged.item.subject, str(where), failure, skipped)
        for subject, error in wrong.items():
            yield Case(subject, str(where), failure=str(error))

    def markdown() -> str:
        rows = report.rows(made, outcomes)
        table = render.table_markdown("Image mirror", f"{where}: {report.counts(made)}", rows)
        lines = (f"**error** {render.markdown(f'{subject}: {error}')}\n" for subject, error in wrong.items())
        return "\n".join([table, *lines])

    return Content(
        lambda: {**report.data(made, where, outcomes), "failed": {name: str(error) for name, error in wrong.items()}},
        markdown,
        lambda: list(cases()),
    )


def of_site(made: Site, folder: Path, findings: Sequence[Finding], told: Written | None = None) -> Content:
    """What a site shows, and what became of its files; without `told` they could not all be written."""

    def markdown() -> str:
        rows = [[offer.name, ", ".join(build.version for build in offer.builds)] for offer in made.offers]
        table = render.table_markdown("Site for tenants", site_line(made, folder, told), [["image", "versions"], *rows])
        lines = [f"- **{f.level}** {render.markdown(f'{f.subject}: {f.message}')}" for f in findings]
        return "\n".join([table, *lines]).rstrip() + "\n"

    def cases() -> list[Case]:
        errors: dict[str, list[str]] = {}
        for each in findings:
            if each.level == "error":
                errors.setdefault(each.subject, []).append(each.message)
        missing = None if told else "not written"
        found = [Case(each.name, str(folder), _joined(errors.pop(each.name, ())), missing) for each in made.offers]
        return found + [Case(name, str(folder), _joined(messages)) for name, messages in errors.items()]

    images = [{"name": each.name, "versions": [build.version for build in each.builds]} for each in made.offers]
    return Content(
        lambda: {
            "site": str(folder),
            "clouds": list(made.clouds),
            "images": images,
            "files": asdict(told) if told else None,
            "findings": [asdict(each) for each in findings],
        },
        markdown,
        cases,
    )


def _joined(messages: Iterable[str]) -> str | None:
    return "\n".join(messages) or None


def site_line(made: Site, folder: Path, told: Written | None) -> str:
    """What a site shows, in one line."""
    counts = f"{render.count(len(made.offers), 'image')} of {render.count(len(made.distributions), 'distribution')}"
    files = (
        f"{render.count(told.written, 'file')} written, {told.same} as before, {told.removed} removed" if told else ""
    )
    return f"{folder}: {counts} in {', '.join(made.clouds)}; {files or 'not written'}"


def of_key(url: str, fingerprint: str, file: Path) -> Content:
    """A key that was fetched and kept."""
    where = public_url(url)
    return Content(
        lambda: {"url": where, "fingerprint": fingerprint, "file": str(file)},
        lambda: render.table_markdown("Key", f"from {where}", [["fingerprint", "file"], [fingerprint, str(file)]]),
        lambda: [Case(fingerprint, where)],
    )


def of_checks(clouds: Mapping[str, Sequence[Check]], here: Sequence[Check], place: str) -> Content:
    """What was looked at in clouds by then, and what `here`, which is shown as `place`."""

    def groups() -> list[tuple[str, Sequence[Check]]]:
        return [*clouds.items(), *([(place, here)] if here else [])]

    def markdown() -> str:
        return "\n".join(render.table_markdown(name, health.summary(its), health.rows(its)) for name, its in groups())

    return Content(
        lambda: {"clouds": {name: health.data(its) for name, its in clouds.items()}, "here": health.data(here)},
        markdown,
        lambda: [case for name, its in groups() for case in health.cases(name, its)],
    )


@dataclass
class Lines:
    """What a command tells line by line: the image, whom it is about, and what became of it."""

    title: str
    lines: list[tuple[str, str, str]] = field(default_factory=list)

    def content(self) -> Content:
        """All lines so far, and those that come."""
        keys = ("image", "project", "state")
        return Content(
            lambda: {"lines": [dict(zip(keys, line, strict=True)) for line in self.lines]},
            lambda: render.table_markdown(self.title, render.count(len(self.lines), "project"), [keys, *self.lines]),
            lambda: [Case(project, image) for image, project, _ in self.lines],
        )
