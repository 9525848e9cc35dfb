"""One run of the kill test: workers that are struck pull some people, a clean worker finishes, the lake is judged."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from features.actions import RELAY_APPLICATION, record_action
from features.online import OnlineFeatures
from features.schema import INTERACTIONS
from features.schema import Kind as ActionKind
from pipelines.pull.ask import ask_for_person
from pull_rig.dooms import Doom
from pull_rig.judge import Acts, Verdict, judge, pulled
from pull_rig.processes import Zygote
from pull_rig.sandbox import Sandbox
from pull_rig.stage import LOOK_SECONDS, Stage
from pull_rig.world import EARLIER, Truth

LIFE_SECONDS = 4.0
"""A worker that nothing has struck by then is killed."""

ACTS = (ActionKind.FAVORITE, ActionKind.DISMISS_PHOTO, ActionKind.UNDISMISS_PHOTO)


@dataclass(frozen=True)
class Death:
    """How a worker ends: at a doom, or by a signal from outside after so many seconds."""

    dooms: tuple[Doom, ...] = ()
    seconds: float | None = None
    politely: bool = False


@dataclass(frozen=True)
class Plan:
    """A run. `lives`: the workers that work at once, and how each of them ends; one life after the other.

    visitors: who is pulled. again: pull once more, much later, so that the sweep finds favorites taken back. faulty:
    Flickr answers one call in ten with a 502, and every such message is retried. fresh: whether what was just pulled
    is not pulled again.
    """

    visitors: tuple[int, ...]
    lives: tuple[tuple[Death, ...], ...]
    steals: bool = False
    doubles: bool = False
    fresh: bool = True
    faulty: bool = False
    again: bool = False
    seed: int = 0


@dataclass
class Report:
    """What happened in a run, and the judgement of each of its pulls."""

    verdicts: list[Verdict] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    workers: int = 0
    redeliveries: int = 0
    redriven: int = 0
    seconds: float = 0.0

    @property
    def is_right(self) -> bool:
        return all(verdict.is_right for verdict in self.verdicts)


class Run:
    """Carries a plan out in a folder of its own. `template`: a database whose schema is made."""

    def __init__(self, plan: Plan, home: Path, zygote: Zygote, sandbox: Sandbox, template: Path) -> None:
        self._plan, self._zygote, self._sandbox = plan, zygote, sandbox
        self._stage = Stage(home, zygote, sandbox, template)
        self._random = random.Random(plan.seed)
        self._people = [sandbox.world.user_ids[-1 - visitor] for visitor in plan.visitors]
        self._acts: list[tuple[str, ActionKind, str, str]] = []
        self.report = Report()

    def carry_out(self) -> Report:
        """Raises AssertionError when a pull does not come to its end."""
        began = time.monotonic()
        end = self._sandbox.world.config.end
        self._sandbox.faults(*([{"kind": "bad_gateway", "rate": 0.1}] if self._plan.faulty else []))
        try:
            self._pull(self._sandbox.clock(end - EARLIER), fresh=self._plan.fresh)
            if self._plan.again and self.report.is_right:
                self._pull(self._sandbox.clock(end), fresh=False)
        finally:
            self._sandbox.faults()
            self._stage.close()
            self.report.seconds = time.monotonic() - began
        return self.report

    def _pull(self, truth: Truth, *, fresh: bool) -> None:
        stage = self._stage
        for person in self._people:
            ask_for_person(stage.engine, stage.queue, person, reason="visit")
        self._act(truth)
        for life in self._plan.lives:
            self._live(life, fresh)
            self._act(truth)
        self._finish(truth, fresh)
        notes = stage.notes()
        self.report.redeliveries += notes.count("lease lost")
        self.report.struck.update(notes)
        verdict = judge(stage.lake, stage.engine, truth, self._people, self._acts_so_far())
        self.report.verdicts.append(replace(verdict, wrong=(*verdict.wrong, *self._wrong_walls(truth))))

    def _live(self, life: Sequence[Death], fresh: bool) -> None:
        began = time.monotonic()
        alive = {self._start(death.dooms, fresh): death for death in life}
        while alive and time.monotonic() < began + LIFE_SECONDS and not self._stage.is_over(self._people):
            time.sleep(LOOK_SECONDS)
            for pid, death in list(alive.items()):
                if self._zygote.status(pid) is not None:
                    del alive[pid]
                elif death.seconds is not None and time.monotonic() > began + death.seconds:
                    self.report.struck["SIGTERM from outside" if death.politely else "SIGKILL from outside"] += 1
                    self._stage.end(pid, signal.SIGTERM if death.politely else signal.SIGKILL)
                    del alive[pid]
        for pid in alive:
            self._stage.end(pid, signal.SIGKILL)
        self.report.redeliveries += self._stage.let_leases_lapse()

    def _finish(self, truth: Truth, fresh: bool) -> None:
        """A worker that nothing strikes does what is left; after a second pull, until all pages are swept."""
        stage = self._stage
        pid = self._start((), fresh)
        self.report.redriven += stage.wait(lambda: stage.is_over(self._people) and self._is_relayed())
        if truth.at == self._sandbox.world.config.end:
            self.report.redriven += stage.sweep(pulled(truth, self._people))
        stage.stop(pid)

    def _start(self, dooms: Sequence[Doom], fresh: bool) -> int:
        self.report.workers += 1
        return self._stage.start(dooms, fresh=fresh, steals=self._plan.steals, doubles=self._plan.doubles)

    def _is_relayed(self) -> bool:
        return self._stage.lake.applied(INTERACTIONS, RELAY_APPLICATION) >= len(self._acts)

    def _act(self, truth: Truth) -> None:
        """Somebody pulled favors a photo on the site (and so on Flickr), dismisses it, and takes that back."""
        person = self._random.choice(self._people)
        _, photo, owner, _ = self._random.choice(sorted(truth.favorites(person)))
        for kind in ACTS[: self._random.randint(1, len(ACTS))]:
            action = record_action(self._stage.engine, user_id=person, kind=kind, photo_id=photo, owner_id=owner)
            self._acts.append((action.action_id, kind, person, photo))

    def _acts_so_far(self) -> Acts:
        newest = {(user, photo): kind for _, kind, user, photo in self._acts if kind is not ActionKind.FAVORITE}
        return Acts(
            ids=frozenset(one for one, *_ in self._acts),
            faved=frozenset((user, photo) for _, kind, user, photo in self._acts if kind is ActionKind.FAVORITE),
            dismissed=frozenset(pair for pair, kind in newest.items() if kind is ActionKind.DISMISS_PHOTO),
        )

    def _wrong_walls(self, truth: Truth) -> list[str]:
        online = OnlineFeatures(self._stage.settings)
        wrong = []
        for person in self._people:
            state, candidates = online.user_state(person), online.neighbor_candidates(person)
            shown = set(zip(state.favorite_ids, state.favorite_owners, strict=True))
            if shown != {(photo, owner) for _, photo, owner, _ in truth.favorites(person)}:
                wrong.append(f"the snapshot of {person} online has {len(shown)} favorites")
            if candidates is None or candidates.coverage != 1.0:
                wrong.append(f"the candidates of {person} online: {candidates and candidates.coverage}")
        return wrong
