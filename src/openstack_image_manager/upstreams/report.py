"""Format published builds as Markdown, plain values and JUnit cases."""

from __future__ import annotations

from collections.abc import Sequence

from openstack_image_manager.report.console import markdown, row_markdown
from openstack_image_manager.report.content import Content
from openstack_image_manager.report.junit import Case
from openstack_image_manager.upstreams import edits as words
from openstack_image_manager.upstreams.edits import UpdateResult


def news_markdown(results: Sequence[UpdateResult]) -> str:
    """Format published builds as a Markdown note for a merge request."""
    from openstack_image_manager.upstreams import edits

    head, *rows = edits.markdown(results)
    lines = ["## Image updates", "", markdown(edits.counts(results)), ""]
    if rows:
        rule = row_markdown(["---"] * len(head)).replace("\\", "")
        lines += [row_markdown(head), rule, *(row_markdown(row) for row in rows), ""]
    for result in results:
        if result.warning:
            lines.append(f"- **warning** {markdown(result.name)}: {markdown(result.warning)}")
    for result in results:
        if result.error:
            lines.append(f"- **{result.state}** {markdown(result.name)}: {markdown(str(result.error))}")
    return "\n".join(lines).rstrip() + "\n"


def of_news(results: Sequence[UpdateResult]) -> Content:
    """Build the report of published builds."""
    return Content(
        lambda: {"definitions": [words.data(result) for result in results]},
        lambda: news_markdown(results),
        lambda: [_news_case(result) for result in results],
    )


def _news_case(result: UpdateResult) -> Case:
    why = str(result.error) if result.error else None
    return Case(result.name, result.file, *((None, why) if result.state == "interrupted" else (why, None)))
