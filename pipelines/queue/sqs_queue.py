"""The queue on SQS: one queue a priority and one for dead letters, over thin boto3.

SQS knows no priorities and forgets the count and the date of what is sent again: queues asked in order give the first,
message attributes the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from features.errors import InvalidInputError
from pipelines.queue.messages import (
    DEAD_LETTERS,
    DIED,
    FAILED,
    LONGEST_DELAY,
    MAX_ATTEMPTS,
    MAX_DELIVERIES,
    PUT,
    RECEIVED,
    DeadLetter,
    Death,
    Depth,
    Message,
)
from pipelines.queue.requests import Priority, PullRequest
from pipelines.queue.sqs_calls import (
    DEAD,
    LONGEST_POLL,
    MOST_BYTES,
    MOST_ENTRIES,
    QUEUES,
    Entry,
    Sqs,
    attribute,
    attributes,
    size,
)

DEAD_POLL = 1
"""Seconds. A short poll asks only some of SQS's servers: that none is left is known after a long one."""

DEAD_LEASE = 60
"""Seconds for which looking at dead letters hides them from others who look."""


class SqsQueue:
    """`pipelines.queue.messages.Queue` on the queues `<name>-person`, …, `<name>-dead`. Opening it asks SQS nothing.

    SQS may let an old receipt change what is another's lease now; so this remembers until when its own last. Letters
    that SQS buries by its redrive policy have no attributes, and are not counted by the metric of this process.
    """

    def __init__(self, name: str, lease_seconds: float) -> None:
        self._sqs = Sqs(name)
        self._lease = math.ceil(lease_seconds)
        self._held: dict[str, float] = {}

    def put(self, requests: Sequence[PullRequest]) -> None:
        for priority in Priority:
            entries = [{"MessageBody": request.body()} for request in requests if request.priority == priority]
            self._sqs.send(_queue(priority), entries)
            PUT.labels(_queue(priority)).inc(len(entries))

    def receive(self, limit: int, wait_seconds: float, among: Collection[Priority] = tuple(Priority)) -> list[Message]:
        deadline = time.monotonic() + wait_seconds
        while True:
            messages: list[Message] = []
            for priority in sorted(among):
                wanted = received = MOST_ENTRIES
                while received == wanted and len(messages) < limit:
                    wanted = min(MOST_ENTRIES, limit - len(messages))
                    received, usable = self._receive(priority, wanted, 0)
                    messages += usable
            left = deadline - time.monotonic()
            if messages or left <= 0:
                return messages
            # SQS waits for whole seconds.
            if (seconds := min(LONGEST_POLL, round(left))) == 0:
                time.sleep(left)
            elif urgent := self._receive(min(among), min(MOST_ENTRIES, limit), seconds)[1]:
                return urgent

    def extend(self, messages: Sequence[Message]) -> set[str]:
        lost = {message.receipt for message in messages if not self._is_held(message)}
        until = time.monotonic() + self._lease
        for priority in Priority:
            held = [message for message in messages if message.priority == priority and message.receipt not in lost]
            refused = self._sqs.batch(
                _queue(priority), "change_message_visibility_batch", [_visible_in(self._lease, one) for one in held]
            )
            lost |= {held[place].receipt for place in refused}
        self._held.update({message.receipt: until for message in messages if message.receipt not in lost})
        return lost

    def done(self, messages: Sequence[Message]) -> None:
        for priority in Priority:
            here = [{"ReceiptHandle": _handle(message)} for message in messages if message.priority == priority]
            # What SQS refuses is no longer there, and what was leased to another it leaves there.
            self._sqs.batch(_queue(priority), "delete_message_batch", here)
        for message in messages:
            self._held.pop(message.receipt, None)

    def retry(self, message: Message, delay_seconds: float) -> None:
        if message.attempts >= MAX_ATTEMPTS:
            self.bury(message, FAILED, Death.ATTEMPTS)
        elif self._is_held(message):
            entry = _visible_in(_whole(delay_seconds), message)
            self._sqs.batch(_queue(message.priority), "change_message_visibility_batch", [entry])
            self._held.pop(message.receipt, None)

    def put_back(self, message: Message, delay_seconds: float = 0.0) -> None:
        if not self._is_held(message):
            return
        kept = attributes(attempts=str(message.attempts - 1), created_at=_created(message))
        entry = {"MessageBody": message.body, "MessageAttributes": kept, "DelaySeconds": _whole(delay_seconds)}
        # Sent before the old one is deleted: a kill between the two leaves two, not none.
        self._sqs.send(_queue(message.priority), [entry])
        self.done([message])

    def bury(self, message: Message, reason: str, kind: Death = Death.FAILED) -> None:
        if not self._is_held(message):
            return
        kept = attributes(
            # SQS takes no empty text and no control characters.
            reason="".join(letter if letter.isprintable() else " " for letter in reason)[:500] or "unknown",
            priority=message.priority.name,
            created_at=_created(message),
            buried_at=datetime.now(UTC).isoformat(),
        )
        # The attributes count, so that the longest body no longer fits; cut it was poison and is.
        most = MOST_BYTES - size({"MessageAttributes": kept})
        body = message.body.encode()[:most].decode(errors="ignore")
        self._sqs.send(DEAD, [{"MessageBody": body, "MessageAttributes": kept}])
        self.done([message])
        DEAD_LETTERS.labels(kind).inc()

    def depth(self) -> Depth:
        counts = {queue: self._counts(queue) for queue in QUEUES}
        return Depth(
            waiting={priority: counts[_queue(priority)][0] for priority in Priority},
            leased=sum(counts[_queue(priority)][1] for priority in Priority),
            dead=sum(counts[DEAD]),
            oldest_seconds=None,
        )

    def dead(self, limit: int) -> list[DeadLetter]:
        """Where there are more than `limit`: any of them, for SQS does not sort."""
        found: dict[str, Entry] = {}
        while len(found) < limit and (answers := self._ask_for(DEAD, limit - len(found), DEAD_POLL, DEAD_LEASE)):
            found |= {answer["MessageId"]: answer for answer in answers}
        self._give_back_dead(found.values())
        return sorted(map(_dead_letter, found.values()), key=lambda letter: letter.created_at)

    def redrive(self, message_ids: Sequence[str] | None = None) -> int:
        driven, passed = 0, dict[str, Entry]()
        while answers := self._ask_for(DEAD, MOST_ENTRIES, DEAD_POLL, DEAD_LEASE):
            if any(answer["MessageId"] in passed for answer in answers):
                break  # once around
            chosen = [one for one in answers if message_ids is None or one["MessageId"] in message_ids]
            passed |= {one["MessageId"]: one for one in answers if one not in chosen}
            for one in chosen:
                self._sqs.send(_queue(_dead_letter(one).priority), [{"MessageBody": one["Body"]}])
            self._sqs.batch(DEAD, "delete_message_batch", [{"ReceiptHandle": one["ReceiptHandle"]} for one in chosen])
            driven += len(chosen)
        self._give_back_dead(passed.values())
        return driven

    def _receive(self, priority: Priority, number: int, wait_seconds: int) -> tuple[int, list[Message]]:
        """How many were received, and those of them whose attempts are not used up: the others are buried."""
        begun = time.monotonic()
        answers = self._ask_for(_queue(priority), number, wait_seconds, self._lease)
        # The lease began somewhere between the question and the answer; a long poll's is answered at once.
        until = (time.monotonic() if wait_seconds else begun) + self._lease
        for receipt in [receipt for receipt, end in self._held.copy().items() if end < begun]:
            self._held.pop(receipt, None)
        messages = []
        for answer in answers:
            attempts = int(answer["Attributes"]["ApproximateReceiveCount"]) + int(attribute(answer, "attempts") or 0)
            receipt = f"{_put_at(answer)} {answer['ReceiptHandle']}"
            message = Message(answer["MessageId"], answer["Body"], priority, attempts, receipt)
            self._held[receipt] = until
            if attempts > MAX_DELIVERIES:
                self.bury(message, DIED, Death.ATTEMPTS)
            else:
                messages.append(message)
        RECEIVED.labels(_queue(priority)).inc(len(messages))
        return len(answers), messages

    def _is_held(self, message: Message) -> bool:
        return time.monotonic() < self._held.get(message.receipt, -math.inf)

    def _ask_for(self, queue: str, number: int, wait_seconds: int, lease: int) -> list[Entry]:
        answer = self._sqs.call(
            queue,
            "receive_message",
            MaxNumberOfMessages=min(MOST_ENTRIES, number),
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=lease,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        found: list[Entry] = answer.get("Messages", [])
        return found

    def _give_back_dead(self, answers: Iterable[Entry]) -> None:
        entries = [{"ReceiptHandle": answer["ReceiptHandle"], "VisibilityTimeout": 0} for answer in answers]
        self._sqs.batch(DEAD, "change_message_visibility_batch", entries)

    def _counts(self, queue: str) -> tuple[int, int]:
        """(waiting, received and not settled)"""
        asked = [f"ApproximateNumberOfMessages{state}" for state in ("", "Delayed", "NotVisible")]
        answer = self._sqs.call(queue, "get_queue_attributes", AttributeNames=asked)["Attributes"]
        waiting, delayed, leased = (int(answer.get(name, 0)) for name in asked)
        return waiting + delayed, leased


def _queue(priority: Priority) -> str:
    return priority.name.lower()


def _created(message: Message) -> str:
    return message.receipt.split(" ", 1)[0]


def _handle(message: Message) -> str:
    return message.receipt.split(" ", 1)[1]


def _visible_in(seconds: int, message: Message) -> dict[str, Any]:
    return {"ReceiptHandle": _handle(message), "VisibilityTimeout": seconds}


def _whole(delay_seconds: float) -> int:
    return math.ceil(min(max(delay_seconds, 0.0), LONGEST_DELAY))


def _put_at(answer: Entry) -> str:
    """When it was first put (ISO 8601, UTC); SQS itself knows when it was sent last."""
    sent = datetime.fromtimestamp(int(answer["Attributes"]["SentTimestamp"]) / 1000, UTC)
    return attribute(answer, "created_at") or sent.isoformat()


def _dead_letter(answer: Entry) -> DeadLetter:
    name, created = attribute(answer, "priority"), _put_at(answer)
    return DeadLetter(
        message_id=answer["MessageId"],
        body=answer["Body"],
        priority=Priority[name] if name else _priority_of(answer["Body"]),
        reason=attribute(answer, "reason") or DIED,
        created_at=datetime.fromisoformat(created),
        buried_at=datetime.fromisoformat(attribute(answer, "buried_at") or created),
    )


def _priority_of(body: str) -> Priority:
    try:
        return PullRequest.parse(body).priority
    except InvalidInputError:
        return Priority.REFRESH
