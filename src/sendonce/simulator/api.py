"""The Cloud API itself: who may send, what is refused, what is answered, what goes wrong."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b

import msgspec

from . import wamid
from .config import Behaviour, BusinessNumber, SimulatorConfig
from .errors import Refusal
from .fate import Fate, Fates
from .faults import GIVEN, Fault, Faults
from .limiter import ThroughputLimiter
from .messages import Order, ReadMark, Refused, parse
from .oracle import Given, OracleLog
from .server import Exchange, Request
from .updates import Accepted
from .webhooks import Webhooks

_SEND = re.compile(r"/v(\d+)\.\d+/([^/]+)/messages/?")
_NUMBER = re.compile(r"/v\d+\.\d+/([^/]+)/?")
#: From this Graph version on, statuses carry no `conversation` (but for free entry points).
_WITHOUT_CONVERSATION = 24

_encode = msgspec.json.Encoder().encode


class CloudApi:
    """Answers everything outside `/control`, and counts what it does."""

    def __init__(self, config: SimulatorConfig, log: OracleLog, webhooks: Webhooks) -> None:
        self.faults: Faults = config.faults
        self.behaviour: Behaviour = config.behaviour
        self.requests = 0
        #: Messages answered with 200, and messages that their recipient got.
        self.accepted = 0
        self.given = 0
        #: Graph code → answers with it.
        self.refused: Counter[int] = Counter()
        self.played: Counter[Fault] = Counter()
        self._numbers = {number.phone_number_id: number for number in config.numbers}
        self._tokens = {f"Bearer {number.access_token}" for number in config.numbers}
        self._templates = {(template.name, template.language): template for template in config.templates}
        self._fates = Fates(config.seed)
        self._limiter = ThroughputLimiter(time.monotonic)
        self._log = log
        self._webhooks = webhooks
        self._seq = log.last_seq
        # A log that goes on must not see a second message under a known id; without a log the clock tells runs apart.
        run = log.last_seq if config.oracle is not None else time.time_ns()
        self._run = blake2b(b"%d\0%d" % (config.seed, run), digest_size=16).digest()

    def number(self, phone_number_id: str | None) -> BusinessNumber | None:
        """The number with this id; without an id the first one."""
        if phone_number_id is None:
            return next(iter(self._numbers.values()))
        return self._numbers.get(phone_number_id)

    def handle(self, request: Request, exchange: Exchange) -> None:
        """Answer one request."""
        self.requests += 1
        send = _SEND.fullmatch(request.path) if request.method == "POST" else None
        about = _NUMBER.fullmatch(request.path) if request.method == "GET" else None
        if send is None and about is None:
            self._refuse(exchange, Refusal(2500, f"{request.method} {request.path} is not known here."))
            return
        number = self._authorised(request, exchange, send[2] if send else about[1] if about else "")
        if number is None:
            return
        if send is None:
            exchange.answer(200, _encode(_describe(number)))
            return
        try:
            order = parse(request.body, number, self._templates)
        except Refused as refused:
            self._refuse(exchange, refused.refusal)
            return
        if isinstance(order, ReadMark):
            exchange.answer(200, b'{"success":true}')
        elif not self._limiter.admit(number.phone_number_id, self.behaviour.rate):
            # Before the fate is drawn: how often a recipient is throttled depends on timing, its fates must not.
            self._refuse(exchange, Refusal(130429, "Cloud API message throughput has been reached."))
        else:
            fate = self._fates.next(order.to, self.faults, self.behaviour)
            self._play(order, number, fate, int(send[1]), exchange)

    def _authorised(self, request: Request, exchange: Exchange, phone_number_id: str) -> BusinessNumber | None:
        number = self._numbers.get(phone_number_id)
        if request.authorization is None:
            self._refuse(exchange, Refusal(104, "An access token is required to request this resource."))
        elif request.authorization not in self._tokens:
            self._refuse(exchange, Refusal(190, "Invalid OAuth access token - Cannot parse access token"))
        elif number is None or request.authorization != f"Bearer {number.access_token}":
            details = f"Unsupported post request. Object with ID '{phone_number_id}' does not exist or is not yours."
            self._refuse(exchange, Refusal(100, details, subcode=33))
        else:
            return number
        return None

    def _play(self, order: Order, number: BusinessNumber, fate: Fate, version: int, exchange: Exchange) -> None:
        if fate.fault is not None:
            self.played[fate.fault] += 1
        if fate.error is not None:
            self._refuse(exchange, Refusal(fate.error), fate.answer_after)
        elif fate.fault is Fault.RESET:
            _after(fate.answer_after, exchange.reset)
        elif fate.fault is Fault.EMPTY_500:
            _after(fate.answer_after, lambda: exchange.answer(500))
        else:
            assert fate.fault is None or fate.fault in GIVEN
            self._give(order, number, fate, version, exchange)

    def _give(self, order: Order, number: BusinessNumber, fate: Fate, version: int, exchange: Exchange) -> None:
        """Give the message to its recipient; everything that tells of it waits until the log has it."""
        recipient = order.to[1:] if order.is_phone else order.to
        message_id = wamid.mint(recipient, self._run, fate.attempt)
        self._seq += 1
        wall = time.time()
        given = Given(
            seq=self._seq,
            monotonic=time.monotonic(),
            wall=wall,
            phone_number_id=number.phone_number_id,
            to=order.to,
            wamid=message_id,
            token=order.token,
            type=order.type,
            body=order.body,
            template=order.template,
            language=order.language,
            parameters=order.parameters,
        )
        message = Accepted(
            number=number,
            wamid=message_id,
            recipient=recipient,
            token=order.token,
            category=order.category,
            wall=wall,
            is_phone=order.is_phone,
            with_conversation=version < _WITHOUT_CONVERSATION,
            with_contacts=self.behaviour.contacts,
            fate=fate,
        )

        def written(ok: bool) -> None:
            if not ok:
                self._refuse(exchange, Refusal(131016, "The oracle log can't be written."))
                return
            self.given += 1
            tell = self._teller(order, message, exchange)
            if fate.status_first:
                self._webhooks.follow(message, lambda: _after(fate.answer_after, tell))
            else:
                self._webhooks.follow(message)
                _after(fate.answer_after, tell)

        self._log.record(given, written)

    def _teller(self, order: Order, message: Accepted, exchange: Exchange) -> Callable[[], None]:
        """What the client gets to know of a message that was given."""
        fault = message.fate.fault
        if fault is Fault.ACCEPT_HANG:
            return _nothing
        if fault is Fault.ACCEPT_RESET:
            return exchange.reset
        if fault is Fault.ACCEPT_EMPTY_500:
            return lambda: exchange.answer(500)

        def accept() -> None:
            self.accepted += 1
            exchange.answer(200, _acceptance(order, message))

        return accept

    def _refuse(self, exchange: Exchange, refusal: Refusal, after: float | None = None) -> None:
        self.refused[refusal.code] += 1
        if after is None:
            after = self.behaviour.latency_ms / 1000
        _after(after, lambda: exchange.answer(refusal.status, refusal.body()))


def _nothing() -> None:
    """The answer of a hung request."""


def _after(seconds: float, call: Callable[[], None]) -> None:
    if seconds > 0:
        asyncio.get_running_loop().call_later(seconds, call)
    else:
        call()


def _acceptance(order: Order, message: Accepted) -> bytes:
    contact = {"input": order.shown, "wa_id" if order.is_phone else "user_id": message.recipient}
    answer = {"id": message.wamid}
    if order.type == "template":
        answer["message_status"] = "accepted"
    return _encode({"messaging_product": "whatsapp", "contacts": [contact], "messages": [answer]})


def _describe(number: BusinessNumber) -> dict[str, object]:
    """What `GET /{phone_number_id}` tells; all fields, whichever were asked for."""
    return {
        "id": number.phone_number_id,
        "display_phone_number": "+" + number.display_number,
        "verified_name": "Simulated business",
        "quality_rating": "GREEN",
        "status": "CONNECTED",
        "throughput": {"level": "STANDARD"},
        "health_status": {"can_send_message": "AVAILABLE", "entities": []},
    }
