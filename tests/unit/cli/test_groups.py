"""Groups of options become options of a command, and arrive as one value each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from openstack_image_manager.cli.groups import Only, with_groups


@dataclass(frozen=True)
class Paint:
    colour: Annotated[str, typer.Option("--colour", help="Its colour.")] = "red"
    coats: Annotated[int, typer.Option("--coats", min=1, help="How often.")] = 1
    gloss: Annotated[bool, typer.Option("--gloss", help="Shiny.")] = False


@dataclass(frozen=True)
class Varnish(Paint):
    brand: Annotated[str, typer.Option("--brand", help="Its brand.")] = "none"


Colour = Annotated[Paint, Only("colour")]


def whole(context: typer.Context, *, door: str, paint: Paint, varnish: Annotated[Varnish, Only("brand")]) -> None:
    typer.echo(f"{context.info_name} {door} {paint} {varnish.brand}")


def part(*, paint: Colour, count: int = 2) -> None:
    typer.echo(f"{paint} {count}")


def run(*words: str) -> tuple[int, str]:
    app = typer.Typer(rich_markup_mode=None)
    app.command("whole")(with_groups(whole))
    app.command("part")(with_groups(part))
    outcome = CliRunner().invoke(app, words)
    return outcome.exit_code, outcome.output.strip()


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (("whole", "front"), "whole front Paint(colour='red', coats=1, gloss=False) none"),
        (
            ("whole", "front", "--coats", "3", "--gloss", "--colour", "blue", "--brand", "x"),
            "whole front Paint(colour='blue', coats=3, gloss=True) x",
        ),
        (("part",), "Paint(colour='red', coats=1, gloss=False) 2"),
        (("part", "--colour", "blue", "--count", "4"), "Paint(colour='blue', coats=1, gloss=False) 4"),
    ],
)
def test_a_group_arrives_as_one_value(words: tuple[str, ...], output: str) -> None:
    assert run(*words) == (0, output)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("whole", "front", "--coats", "0"), "Invalid value for '--coats'"),
        (("part", "--coats", "1"), "No such option --coats"),
        (("part", "--gloss"), "No such option --gloss"),
    ],
)
def test_options_that_are_not_offered_or_have_wrong_values_are_refused(words: tuple[str, ...], message: str) -> None:
    code, output = run(*words)
    assert code == 2
    # Versions of Typer write it in different ways.
    assert message.replace("'", "") in re.sub("[:']", "", output)


def test_help_lists_the_options_where_the_group_stands() -> None:
    _, text = run("whole", "--help")
    options = [line.split()[0] for line in text.splitlines() if line.strip().startswith("--")]
    assert options[:4] == ["--colour", "--coats", "--gloss", "--brand"]
