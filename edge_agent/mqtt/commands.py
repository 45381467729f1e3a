"""Commands over MQTT: checked, rate-limited, answered. The caller passes what each of them does.

Rules (tests name the numbers):

1. A request that the broker had kept is ignored: it may be old. Without a session the broker keeps
   only retained ones.
2. A request is a JSON object of the known fields, or an empty payload for a command without
   fields. Anything else does nothing, and the answer says what is wrong. An empty payload for a
   command with fields is no request: it is what deletes a retained message.
3. No more than `BURST` at once and one every `PACE_S` seconds; the rest is counted, not answered.
4. A request id is executed once, and answered each time with the answer of then: a broker may
   deliver a message twice, and a sender repeats what it got no answer to.
5. A command that is switched off is answered as such.
6. An answer goes to `cmd/<name>/result`, or to the request's response topic where that lies below
   it, so that a sender cannot make the agent publish elsewhere.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData, FarmError
from edge_agent.messages.json_schemas import definitions
from edge_agent.messages.message import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from edge_agent.messages.topics import Topics
    from edge_agent.mqtt.connection import Received
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)

NAMES: Final = ("predict", "sync", "reload", "ack", "snooze", "republish", "irrigated")
_WITH_FIELDS: Final = frozenset({"ack", "snooze", "irrigated"})
BURST: Final = 10
PACE_S: Final = 6.0
MAX_BYTES: Final = 4096
ANSWER_VALID: Final = timedelta(minutes=5)
_IDS_KEPT: Final = 256


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request's payload.

    Attributes:
        id: Chosen by the sender, comes back in the answer.
        rule: For `ack` and `snooze`.
        minutes: For `snooze`.
        mm: For `irrigated`: water given over the area.
        volume_l: The same in litres, instead of `mm`.
        at: For `irrigated`: when; now by default.
        zone: For `irrigated`: empty, or the name of the one zone.
    """

    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    rule: Annotated[str, msgspec.Meta(max_length=63)] = ""
    minutes: Annotated[int, msgspec.Meta(ge=1, le=7 * 24 * 60)] = 60
    mm: float | None = None
    volume_l: float | None = None
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    zone: Annotated[str, msgspec.Meta(max_length=63)] = ""


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer's payload: `ok`, and a text for people."""

    schema: Literal["farm-edge/command-result/1"]
    id: str
    issued_at: datetime
    command: str
    request_id: str
    ok: bool
    text: str


FORMS: Final[dict[str, type[msgspec.Struct]]] = {"command": Request, "command-result": Result}
"""Kind -> struct; the kind names docs/mqtt/<kind>.schema.json."""


def json_schema(kind: str) -> bytes:
    """JSON Schema (draft 2020-12) of a request or an answer, as docs/mqtt has it.

    Raises:
        KeyError: There is no such kind.
    """
    struct = FORMS[kind]
    schema = definitions(struct)[struct.__name__]
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind}
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"


class CommandHandler:
    """Executes requests and puts the answers into the outbox.

    Args:
        topics: Topics of this device.
        actions: Command name -> what it does; returns a text, raises `FarmError` when it cannot.
        allowed: Names that are switched on.
        put: The outbox.
        clock: Time.
    """

    def __init__(
        self,
        topics: Topics,
        actions: Mapping[str, Callable[[Request], str]],
        allowed: Collection[str],
        put: Callable[[Message], object],
        clock: Clock,
    ) -> None:
        self._topics = topics
        self._actions = actions
        self._allowed = allowed
        self._put = put
        self._clock = clock
        self._tokens = float(BURST)
        self._counted_at = clock.monotonic()
        self._answers = 0
        self._executed: dict[str, tuple[bool, str]] = {}
        self._names = {topics.command(name): name for name in NAMES}
        self.ignored = 0
        """Requests that the broker had kept, deletions of these, and requests too many."""

    def take(self, message: Received) -> bool:
        """Execute a request; False when the topic is not a command's.

        Raises:
            StorageError: The answer cannot be kept.
        """
        name = self._names.get(message.topic)
        if name is None:
            return False
        deletes = name in _WITH_FIELDS and not message.payload
        if message.retain or deletes or not self._allow():
            self.ignored += 1
            return True
        request = Request()
        try:
            request = _read(message.payload)
            ok, text = self._execute_once(name, request)
        except BadData as fault:
            ok, text = False, str(fault)
        self._answer(name, message, request, ok=ok, text=text)
        return True

    def ask(self, name: str, payload: bytes) -> tuple[bool, str] | None:
        """Execute a request that did not come by MQTT; the caller answers it.

        Args:
            name: One of the actions, switched on for MQTT or not.
            payload: As rule 2 has it.

        Returns:
            Whether it was done, and a text for people; None when there were too many (rule 3).

        Raises:
            BadData: Not a request.
        """
        request = _read(payload)
        if not self._allow():
            self.ignored += 1
            return None
        return self._execute(name, request)

    def _execute_once(self, name: str, request: Request) -> tuple[bool, str]:
        key = f"{name} {request.id}"
        if request.id and key in self._executed:
            return self._executed[key]
        if name not in self._allowed:
            return False, f"{name} is switched off in mqtt.commands"
        self._executed[key] = self._execute(name, request)
        if len(self._executed) > _IDS_KEPT:
            del self._executed[next(iter(self._executed))]
        return self._executed[key]

    def _execute(self, name: str, request: Request) -> tuple[bool, str]:
        try:
            ok, text = True, self._actions[name](request)
        except FarmError as fault:
            ok, text = False, str(fault)
        _log.info("command %s: %s", name, text)
        return ok, text

    def _allow(self) -> bool:
        moment = self._clock.monotonic()
        self._tokens = min(BURST, self._tokens + (moment - self._counted_at) / PACE_S)
        self._counted_at = moment
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _answer(
        self, name: str, message: Received, request: Request, *, ok: bool, text: str
    ) -> None:
        now = self._clock.now()
        self._answers += 1
        result = Result(
            schema="farm-edge/command-result/1",
            id=f"result-{now.timestamp():.6f}-{self._answers}",
            issued_at=now,
            command=name,
            request_id=request.id,
            ok=ok,
            text=text,
        )
        home = self._topics.command_result(name)
        topic = message.response_topic or ""
        if not topic.startswith(f"{home}/") or set(topic) & set("+#\0"):
            topic = home
        self._put(
            Message(
                result.id,
                topic,
                msgspec.json.encode(result),
                Kind.TELEMETRY,
                expires_at=now + ANSWER_VALID,
                correlation=message.correlation,
            )
        )


def _read(payload: bytes) -> Request:
    if len(payload) > MAX_BYTES:
        raise BadData(f"request of {len(payload)} bytes, more than {MAX_BYTES}")
    if not payload.strip():
        return Request()
    try:
        document = msgspec.json.decode(payload)
        if isinstance(document, dict):
            # In JSON 60.0 and 60 are the same number.
            document = {
                key: int(value) if isinstance(value, float) and value.is_integer() else value
                for key, value in document.items()
            }
        return msgspec.convert(document, Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadData(f"request: {in_words(fault)}") from fault
