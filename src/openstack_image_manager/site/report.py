"""Describe the result of `catalogue build` for reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from openstack_image_manager.humanize import count
from openstack_image_manager.model import Finding
from openstack_image_manager.report import console
from openstack_image_manager.report.content import Content
from openstack_image_manager.report.junit import Case
from openstack_image_manager.site.model import Site
from openstack_image_manager.site.writer import Written


def of_site(made: Site, folder: Path, findings: Sequence[Finding], result: Written | None = None) -> Content:
    """Describe a site and its files; without a `result` not all files could be written."""

    def markdown() -> str:
        rows = [[offer.name, ", ".join(build.version for build in offer.builds)] for offer in made.offers]
        table = console.table_markdown(
            "Site for tenants", site_line(made, folder, result), [["image", "versions"], *rows]
        )
        lines = [f"- **{f.level}** {console.markdown(f'{f.subject}: {f.message}')}" for f in findings]
        return "\n".join([table, *lines]).rstrip() + "\n"

    def cases() -> list[Case]:
        errors: dict[str, list[str]] = {}
        for finding in findings:
            if finding.level == "error":
                errors.setdefault(finding.subject, []).append(finding.message)
        missing = None if result else "not written"
        images = [Case(offer.name, str(folder), _joined(errors.pop(offer.name, ())), missing) for offer in made.offers]
        return images + [Case(name, str(folder), _joined(messages)) for name, messages in errors.items()]

    images = [{"name": offer.name, "versions": [build.version for build in offer.builds]} for offer in made.offers]
    return Content(
        lambda: {
            "site": str(folder),
            "clouds": list(made.clouds),
            "images": images,
            "files": asdict(result) if result else None,
            "findings": [asdict(finding) for finding in findings],
        },
        markdown,
        cases,
    )


def _joined(messages: Iterable[str]) -> str | None:
    return "\n".join(messages) or None


def site_line(made: Site, folder: Path, result: Written | None) -> str:
    """Describe a site in one line."""
    counts = f"{count(len(made.offers), 'image')} of {count(len(made.distributions), 'distribution')}"
    files = (
        f"{count(result.written, 'file')} written, {result.same} unchanged, {result.removed} removed" if result else ""
    )
    return f"{folder}: {counts} in {', '.join(made.clouds)}; {files or 'not written'}"
