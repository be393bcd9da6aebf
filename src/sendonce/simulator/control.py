"""The control API: watch a running simulator, and change how it behaves.

| call | does |
|---|---|
| `GET /control/state` | counts, faults, behaviour |
| `PATCH /control/faults` | changes the named fields of `Faults` |
| `PATCH /control` | changes the named fields of `Behaviour` |
| `POST /control/webhooks` `{"enabled": bool}` | begins or ends a webhook outage |
| `POST /control/inbound` `{"from", "text", "phone_number_id"?}` | a person writes to the business |

Answers are JSON; what is wrong with a request comes back as `{"error": "…"}` with 400, 403, 404 or 405. Field names are
those of the configuration.
"""

import ipaddress
import time
from typing import TypeVar

import msgspec

from . import wamid
from .api import CloudApi
from .config import Behaviour
from .faults import Faults
from .server import Exchange, Request
from .updates import Inbound
from .webhooks import Webhooks

_S = TypeVar("_S", Faults, Behaviour)


class _Switch(msgspec.Struct, forbid_unknown_fields=True):
    enabled: bool


class _Note(msgspec.Struct, forbid_unknown_fields=True):
    sender: str = msgspec.field(name="from")
    text: str
    phone_number_id: str | None = None


def patched(current: _S, patch: bytes) -> _S:
    """`current` with the fields that a JSON object names. Raises `msgspec.ValidationError` or `DecodeError`."""
    changes = msgspec.json.decode(patch, type=dict[str, object])
    return msgspec.convert({**msgspec.structs.asdict(current), **changes}, type(current), str_keys=True)


class Control:
    """Answers `/control`."""

    def __init__(self, api: CloudApi, webhooks: Webhooks, remote: bool) -> None:
        self._api = api
        self._webhooks = webhooks
        self._remote = remote
        self._notes = 0
        self._calls = {
            "/control/state": ("GET", self._state),
            "/control/faults": ("PATCH", self._patch_faults),
            "/control": ("PATCH", self._patch_behaviour),
            "/control/webhooks": ("POST", self._switch_webhooks),
            "/control/inbound": ("POST", self._inbound),
        }

    def handle(self, request: Request, exchange: Exchange) -> None:
        """Answer one control request."""
        if not self._remote and not _is_loopback(request.peer):
            _fail(exchange, 403, "the control API answers callers on this machine only")
            return
        method, call = self._calls.get(request.path, (None, None))
        if call is None:
            _fail(exchange, 404, f"there is no {request.path}; see /control/state")
        elif method != request.method:
            _fail(exchange, 405, f"{request.path} takes {method}")
        else:
            try:
                answer = call(request.body)
            except (msgspec.ValidationError, msgspec.DecodeError) as error:
                _fail(exchange, 400, str(error))
            else:
                exchange.answer(200, msgspec.json.encode(answer))

    def _state(self, _: bytes) -> dict[str, object]:
        api, webhooks = self._api, self._webhooks
        return {
            "requests": api.requests,
            "accepted": api.accepted,
            "given": api.given,
            "refused": dict(sorted(api.refused.items())),
            "played": {fault.value: count for fault, count in sorted(api.played.items())},
            "webhooks": {
                "enabled": webhooks.enabled,
                "pending": webhooks.pending,
                "posted": webhooks.posted,
                "posts": webhooks.posts,
                "failed": webhooks.failed,
                "dropped": webhooks.dropped,
            },
            "faults": api.faults,
            "behaviour": api.behaviour,
        }

    def _patch_faults(self, body: bytes) -> Faults:
        self._api.faults = patched(self._api.faults, body)
        self._webhooks.batch = self._api.faults.webhook_batch
        return self._api.faults

    def _patch_behaviour(self, body: bytes) -> Behaviour:
        self._api.behaviour = patched(self._api.behaviour, body)
        return self._api.behaviour

    def _switch_webhooks(self, body: bytes) -> dict[str, object]:
        self._webhooks.enable(msgspec.json.decode(body, type=_Switch).enabled)
        return {"enabled": self._webhooks.enabled}

    def _inbound(self, body: bytes) -> dict[str, object]:
        note = msgspec.json.decode(body, type=_Note)
        number = self._api.number(note.phone_number_id)
        if number is None:
            raise msgspec.ValidationError(f"unknown phone_number_id {note.phone_number_id!r}")
        self._notes += 1
        sender = note.sender.lstrip("+")
        name = wamid.mint(sender, b"inbound%d" % time.time_ns(), self._notes)
        self._webhooks.post(Inbound(number, sender, note.text, name, time.time()))
        return {"id": name}


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _fail(exchange: Exchange, status: int, error: str) -> None:
    exchange.answer(status, msgspec.json.encode({"error": error}))
