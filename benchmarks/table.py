"""Rows of results, as Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measure import Summary


@dataclass(frozen=True, slots=True)
class Goal:
    """A value that must be at most (`<=`) or at least (`>=`) so much; `unit` is what stands behind it."""

    what: str
    value: float
    sign: str
    limit: float
    unit: str = ""

    @property
    def reached(self) -> bool:
        return self.value <= self.limit if self.sign == "<=" else self.value >= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.sign == "<=" else "≥"
        mark = "" if self.reached else " **missed**"
        return f"{self.what} {number(self.value)}{self.unit} ({sign} {number(self.limit)}{self.unit}){mark}"

    def data(self) -> dict[str, Any]:
        value = {"what": self.what, "value": round(self.value, 3), "limit": self.limit, "sign": self.sign}
        return {**value, "unit": self.unit.strip(), "reached": self.reached}


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one case. `notes`: what else was seen; `error`: why there is no result."""

    case: str
    what: str
    ours: Summary | None = None
    floor: Summary | None = None
    existing: Summary | None = None
    goals: Sequence[Goal] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.error)

    def data(self) -> dict[str, Any]:
        sides = {"ours": self.ours, "floor": self.floor, "existing": self.existing}
        return {
            "case": self.case,
            "what": self.what,
            **{name: side.data() for name, side in sides.items() if side},
            "goals": [goal.data() for goal in self.goals],
            "notes": dict(self.notes),
            **({"error": self.error} if self.error else {}),
        }

    def cells(self) -> list[str]:
        def seconds(side: Summary | None) -> str:
            return f"{number(side.seconds)} s" if side else ""

        ratio = f"{self.ours.seconds / self.floor.seconds:.2f}" if self.ours and self.floor else ""
        faster = f"{self.existing.seconds / self.ours.seconds:.1f}" if self.ours and self.existing else ""
        memory = f"{self.ours.peak_mib:.0f} MiB" if self.ours else ""
        cpu = f"{number(self.ours.cpu)} s" if self.ours else ""
        goals = "; ".join(map(str, self.goals)) or "–"
        if self.error:
            goals = f"**no result**: {' '.join(self.error.split())[:160]}".replace("|", "\\|")
        sides = [seconds(self.ours), seconds(self.floor), ratio, seconds(self.existing), faster]
        return [self.what, *sides, cpu, memory, goals]


HEAD = ["case", "ours", "floor", "ours ÷ floor", "existing tool", "times faster", "CPU", "memory", "goals"]


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(rows: Sequence[Row], machine: Mapping[str, Any], title: str) -> str:
    """The table, with the machine above it and what else was seen below."""
    lines = [f"# {title}", "", *(f"* {name}: {value}" for name, value in machine.items()), ""]
    lines += [_line(HEAD), _line(["---", *["---:"] * (len(HEAD) - 2), "---"])]
    lines += [_line(row.cells()) for row in rows]
    noted = [f"* {row.what}: {_notes(row.notes)}" for row in rows if row.notes]
    if noted:
        lines += ["", "Seen besides:", "", *noted]
    return "\n".join(lines) + "\n"


def _notes(notes: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {number(value) if isinstance(value, float) else value}" for name, value in notes.items())


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
