"""What upstreams published as Markdown, as plain values and as JUnit cases."""

from __future__ import annotations

from collections.abc import Sequence

from openstack_image_manager.report.console import markdown, row_markdown
from openstack_image_manager.report.content import Content
from openstack_image_manager.report.junit import Case
from openstack_image_manager.upstreams import edits as words
from openstack_image_manager.upstreams.edits import UpdateResult


def news_markdown(found: Sequence[UpdateResult]) -> str:
    """What upstreams published, as a Markdown note fit for a merge request."""
    from openstack_image_manager.upstreams import edits

    head, *rows = edits.markdown(found)
    lines = ["## Image updates", "", markdown(edits.counts(found)), ""]
    if rows:
        lines += [
            row_markdown(head),
            row_markdown(["---"] * len(head)).replace("\\", ""),
            *(row_markdown(row) for row in rows),
            "",
        ]
    lines += [f"- **warning** {markdown(each.name)}: {markdown(each.warning)}" for each in found if each.warning]
    lines += [f"- **{each.state}** {markdown(each.name)}: {markdown(str(each.error))}" for each in found if each.error]
    return "\n".join(lines).rstrip() + "\n"


def of_news(found: Sequence[UpdateResult]) -> Content:
    """What upstreams published."""
    return Content(
        lambda: {"definitions": [words.data(each) for each in found]},
        lambda: news_markdown(found),
        lambda: [_news_case(each) for each in found],
    )


def _news_case(each: UpdateResult) -> Case:
    why = str(each.error) if each.error else None
    return Case(each.name, each.file, *((None, why) if each.state == "interrupted" else (why, None)))
