"""Which call comes next: all orders that make a difference, some at random, or those of the faults that were there."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.histories.schedule import Choose, Ended, Schedule, Strand
from tests.histories.service import Request, Service
from tests.histories.together import Broken, Together

EARLY = 2  # how often in one history time may pass for a run although another one could go on
Make = Callable[[], Together]


@dataclass
class Numbers:
    """How much was tried. `cut`: histories given up early, as they differ in nothing from one that was seen."""

    interleavings: int = 0
    calls: int = 0
    cut: int = 0

    def add(self, other: Numbers) -> None:
        """Count these too."""
        self.interleavings += other.interleavings
        self.calls += other.calls
        self.cut += other.cut

    def __str__(self) -> str:
        return f"{self.interleavings} interleavings ({self.cut} more cut short), {self.calls} calls"


@dataclass
class _Choice:
    """What can come next, by the numbers of threads; `asleep`: what was tried before, and would be no news here."""

    options: list[int]
    asleep: frozenset[int]
    chosen: int
    tried: set[int] = field(default_factory=set)

    def left(self) -> list[int]:
        return [number for number in self.options if number not in self.asleep and number not in self.tried]


@dataclass
class _Path:
    """One way through the tree of choices: those made before are made again, what follows is new."""

    choices: list[_Choice]
    service: Service
    depth: int = 0
    early: int = 0
    cut: bool = False
    asleep: frozenset[int] = frozenset()  # at the next choice, where that is new

    def choose(self, _schedule: Schedule, able: Sequence[Strand]) -> Strand:
        """The next one."""
        busy = [strand for strand in able if not strand.napping]
        naps = [strand for strand in able if strand.napping]
        if not busy:
            naps = [min(naps, key=lambda strand: (strand.due or 0, strand.number))]
        there = {strand.number: strand for strand in (*busy, *(naps if not busy or self.early < EARLY else ()))}
        if self.depth == len(self.choices):
            choice = _Choice(list(there), self.asleep, -1)
            if not choice.left():
                self.cut = True
                raise Ended
            choice.chosen = choice.left()[0]
            self.choices.append(choice)
        choice = self.choices[self.depth]
        self.depth += 1
        chosen = there[choice.chosen]
        if self.depth == len(self.choices):
            before = (choice.asleep | choice.tried) & there.keys()
            self.asleep = frozenset(n for n in before if not _matters(self.service, there[n], chosen))
        self.early += chosen.napping and bool(busy)
        return chosen


def exhaustive(make: Make, end: Callable[[Together], None], most: int | None = None) -> tuple[Numbers, bool]:
    """All histories of the runs that `make` gives, but for the order of calls that can't notice each other (sleep
    sets, see Godefroid: Partial-Order Methods for the Verification of Concurrent Systems). `end` judges each. The
    numbers, and whether that were all: `most` ends it. Raises Broken."""
    numbers, choices = Numbers(), list[_Choice]()
    while most is None or numbers.interleavings + numbers.cut < most:
        together = make()
        path = _Path(choices, together.service)
        schedule = Schedule(path.choose)
        try:
            together.go(schedule)
            end(together)
        except Broken as broken:
            broken.add_note(f"found after {numbers}")
            raise
        except Ended:
            assert path.cut
        numbers.calls += schedule.steps
        numbers.cut += path.cut
        numbers.interleavings += not path.cut
        while choices:
            choices[-1].tried.add(choices[-1].chosen)
            if left := choices[-1].left():
                choices[-1].chosen = left[0]
                break
            choices.pop()
        else:
            return numbers, True
    return numbers, False


@dataclass
class _Stop:
    """One run stops once, the others go on to their ends, then it goes on. `at`: 0 is in the middle of its listing,
    1 when its plan is made, 2 and more after one change more each."""

    together: Together
    run: int
    at: int
    calls: int = 0
    changes: int = 0
    met: bool = False

    def choose(self, _schedule: Schedule, able: Sequence[Strand]) -> Strand:
        """The next one."""
        mine = [strand for strand in able if strand.run == self.run]
        others = [strand for strand in able if strand.run != self.run]
        reached = (self.calls == 1, self.together.outcomes[self.run].plan is not None)
        self.met |= reached[self.at] if self.at < 2 else self.changes == self.at - 1
        chosen = min((others or mine) if self.met or not mine else mine, key=_in_order)
        if chosen.run == self.run and not chosen.napping:
            self.calls += 1
            self.changes += not chosen.call.reads
        return chosen


def _in_order(strand: Strand) -> tuple[int, bool, int]:
    return strand.run, strand.napping, strand.number


def stops(make: Make, end: Callable[[Together], None]) -> Numbers:
    """Each run stops once at each place where it may be wrong about the cloud from then on: half of the listing, the
    plan, a change behind it. The faults that were there once had that in common; `exhaustive` has all else."""
    numbers = Numbers()
    for run in range(len(make().orders)):
        at, met = 0, True
        while met:
            together = make()
            stop = _Stop(together, run, at)
            schedule = Schedule(stop.choose)
            try:
                together.go(schedule)
                end(together)
            except Broken as broken:
                place = (
                    ("in the middle of its listing", "with its plan")[at] if at < 2 else f"after its change {at - 1}"
                )
                broken.add_note(f"run {run} stopped {place}")
                raise
            numbers.add(Numbers(1, schedule.steps))
            met, at = stop.met, at + 1
    return numbers


def turns(*order: tuple[int, int, bool]) -> Choose:
    """Runs take turns: each of `order` is a run, the changes after which it stops, and whether it goes on from there
    to right before its next change. At the end each runs to its end, the first one first."""
    made, left = dict.fromkeys((run for run, _, _ in order), 0), list(order)

    def choose(_schedule: Schedule, able: Sequence[Strand]) -> Strand:
        while left:
            run, changes, to_next = left[0]
            mine = sorted((strand for strand in able if strand.run == run), key=_in_order)
            reads = [strand for strand in mine if strand.napping or strand.call.reads]
            if mine and (made[run] < changes or (to_next and reads)):
                chosen = (reads or mine)[0]
                made[run] += chosen not in reads
                return chosen
            left.pop(0)
        return min(able, key=_in_order)

    return choose


def random_choice(chance: random.Random) -> Choose:
    """A run goes on for a while before another one does, as it is with runs that share a machine."""
    steady, last = chance.choice((0.0, 0.5, 0.8, 0.95)), -1

    def choose(_schedule: Schedule, able: Sequence[Strand]) -> Strand:
        nonlocal last
        busy = [strand for strand in able if not strand.napping]
        naps = [strand for strand in able if strand.napping]
        same = [strand for strand in busy if strand.run == last]
        if not busy or (naps and chance.random() < 0.05):
            chosen = min(naps, key=lambda strand: (strand.due or 0, strand.number))
        else:
            chosen = chance.choice(same if same and chance.random() < steady else busy)
        last = chosen.run
        return chosen

    return choose


def _matters(service: Service, one: Strand, other: Strand) -> bool:
    """Whether the order of two calls makes a difference here and now."""
    if one.napping or other.napping:
        return one.run == other.run
    first, second = one.call, other.call
    if first.reads and second.reads:
        return False
    if one.run == other.run or not (first.reads or second.reads):
        return True  # the laws are judged after each change, so the order of two changes is one for them too
    reads, writes = (first, second) if first.reads else (second, first)
    if reads.image_id or writes.data is not None:
        return reads.image_id is None or reads.image_id == writes.image_id
    return _listed(service, reads) != _listed(service, reads, writes)


def _listed(service: Service, reads: Request, writes: Request | None = None) -> bytes:
    """What a listing shows, before or after a change."""
    copy = service.copy()
    if writes:
        copy.answer(writes)
    return copy.answer(reads).content
