"""The queue in SQL against a model of it: whatever workers do in whatever order, each message is where it must be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from features.database import metadata
from pipelines.queue.messages import MAX_ATTEMPTS, MAX_DELIVERIES, Message
from pipelines.queue.requests import Kind, Priority, PullRequest
from pipelines.queue.sql_queue import SqlQueue


@dataclass
class Known:
    """What the model knows of a message."""

    priority: Priority
    visible_at: datetime
    state: str = "waiting"
    attempts: int = 0
    receipt: str | None = None


class QueueMachine(RuleBasedStateMachine):
    """Workers that put, receive, lose and settle in any order, beside a model of what must come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        metadata.create_all(self.engine)
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)
        self.queue = SqlQueue(self.engine, 60, clock=lambda: self.now)
        self.received: list[Message] = []
        self.known: dict[str, Known] = {}
        self.put_so_far = 0  # a number is never used again, not even when nothing is left

    def teardown(self) -> None:
        self.engine.dispose()

    @rule(priorities=st.lists(st.sampled_from(Priority), min_size=1, max_size=3))
    def put(self, priorities: list[Priority]) -> None:
        request = PullRequest(user_id="a", kind=Kind.FAVORITES, reason="test", priority=Priority.PERSON)
        self.queue.put([request.model_copy(update={"priority": priority}) for priority in priorities])
        for priority in priorities:
            self.put_so_far += 1
            self.known[str(self.put_so_far)] = Known(priority, self.now)

    @rule(limit=st.integers(1, 4))
    def receive(self, limit: int) -> None:
        due = {name: one for name, one in self.known.items() if one.state != "dead" and one.visible_at <= self.now}
        for one in due.values():
            if one.state == "leased":
                used_up = one.attempts >= MAX_DELIVERIES
                one.state, one.receipt = ("dead", None) if used_up else ("waiting", one.receipt)
        waiting = [name for name, one in due.items() if one.state == "waiting"]
        expected = sorted(waiting, key=lambda name: (due[name].priority, int(name)))[:limit]
        messages = self.queue.receive(limit, 0.0)
        assert [message.message_id for message in messages] == expected
        for message in messages:
            one = due[message.message_id]
            one.state, one.receipt, one.attempts = "leased", message.receipt, one.attempts + 1
            one.visible_at = self.now + timedelta(seconds=60)
            assert message.attempts == one.attempts <= MAX_DELIVERIES
        self.received += messages

    @rule(seconds=st.sampled_from([1, 30, 60, 700]))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.received)
    @rule(data=st.data(), how=st.sampled_from(["done", "retry", "put_back", "bury", "extend"]))
    def settle(self, data: st.DataObject, how: str) -> None:
        message = data.draw(st.sampled_from(self.received))
        one = self.known.get(message.message_id)
        held = one is not None and one.receipt == message.receipt
        match how:
            case "done":
                self.queue.done([message])
            case "retry":
                self.queue.retry(message, 20.0)
            case "put_back":
                self.queue.put_back(message, 20.0)
            case "bury":
                self.queue.bury(message, "no such user")
            case "extend":
                assert self.queue.extend([message]) == (set() if held else {message.receipt})
        if one is None or not held:
            return
        one.visible_at = self.now + timedelta(seconds=60 if how == "extend" else 20)
        if how == "extend":
            one.state = "leased"
            return
        one.receipt = None
        one.state = "dead" if how == "bury" or (how == "retry" and one.attempts >= MAX_ATTEMPTS) else "waiting"
        one.attempts -= how == "put_back"
        if how == "done":
            del self.known[message.message_id]

    @rule()
    def redrive(self) -> None:
        dead = [one for one in self.known.values() if one.state == "dead"]
        assert self.queue.redrive() == len(dead)
        for one in dead:
            one.state, one.attempts, one.visible_at = "waiting", 0, self.now

    @rule()
    def count(self) -> None:
        depth = self.queue.depth()
        leased = sum(one.state == "leased" and one.visible_at > self.now for one in self.known.values())
        dead = sum(one.state == "dead" for one in self.known.values())
        assert (depth.leased, depth.dead) == (leased, dead)
        assert sum(depth.waiting.values()) == len(self.known) - leased - dead


QueueMachine.TestCase.settings = hypothesis_settings(max_examples=40, stateful_step_count=30, deadline=None)
test_in_any_order_a_message_has_one_worker_and_is_never_lost = QueueMachine.TestCase
