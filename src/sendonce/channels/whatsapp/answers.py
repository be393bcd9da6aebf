"""What each answer and each failure of the network proves. What matters most is when a message was *not* sent.

what happened                                           outcome
no connection came about (DNS, TCP, TLS, its timeout)   Throttled connect_failed: not a byte of the request left
an answer with Graph's JSON error                       Refused or Throttled, by the error table
another 4xx, but not 408; a 3xx                         Refused: somebody read it and said no
the total time ran out                                  Unknown timeout, connected or not
the connection ended before the answer came             Unknown reset, even if nobody read anything
5xx or 408 without Graph's JSON, 2xx without an id,
half an answer, something that is no HTTP               Unknown no_answer
"""

from collections.abc import Callable
from typing import Any

import msgspec
from pyreqwest.bytes import Bytes
from pyreqwest.exceptions import DecodeError, DetailedPyreqwestError, PyreqwestError

from sendonce.channels.whatsapp.errors import detail_of, judge, own
from sendonce.channels.whatsapp.ids import pack
from sendonce.domain.outcome import Accepted, DeliveryError, Outcome, Reaction, Refused, Throttled, Unknown

#: The one cause in the client's error chain that proves that no connection came about. The class of its exception
#: proves nothing: ConnectError is raised too when a connection broke in the middle of an answer, and
#: ConnectTimeoutError when the total time ran out.
NEVER_CONNECTED = "client error (Connect)"
#: Waits longer than a day are no throttling that a queue should sit out.
LONGEST_WAIT = 86_400.0

#: What reading JSON of unknown quality may raise; the last for one that nests without end.
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


class _Sent(msgspec.Struct):
    id: str
    message_status: str | None = None


class _Answer(msgspec.Struct):
    messages: list[_Sent]


class _GraphError(msgspec.Struct):
    code: int
    message: str | None = None
    error_subcode: int | None = None
    error_user_title: str | None = None
    error_data: Any = None


class _GraphFailure(msgspec.Struct):
    error: _GraphError


class _Usage(msgspec.Struct):
    estimated_time_to_regain_access: float = 0.0


_read_answer = msgspec.json.Decoder(_Answer).decode
_read_failure = msgspec.json.Decoder(_GraphFailure).decode
_read_usage = msgspec.json.Decoder(dict[str, list[_Usage]]).decode


def outcome_of_answer(
    status: int, content: Bytes | bytes, header: Callable[[str], str | None], access_token: str
) -> Outcome:
    """What a whole answer says. `header` gives a header's value by name; the token is taken out of what is kept."""
    if 200 <= status < 300:
        try:
            sent = _read_answer(content).messages[0]
        except (*UNREADABLE, IndexError):
            return Unknown("no_answer")
        if not sent.id:
            return Unknown("no_answer")
        return Accepted(pack(sent.id), sent.message_status is not None and sent.message_status != "accepted")
    try:
        graph = _read_failure(content).error
    except UNREADABLE:
        if status >= 500 or status == 408:
            return Unknown("no_answer")
        return Refused(judge(None, status))
    # Graph quotes a malformed token back.
    detail = detail_of(graph.error_data, graph.message).replace(access_token, "…")
    error = judge(graph.code, status, graph.error_subcode, graph.error_user_title, detail)
    if error.reaction in (Reaction.SLOW_DOWN, Reaction.SLOW_ACCOUNT):
        return _throttled(error, header)
    return Refused(error)


def outcome_of_failure(error: PyreqwestError) -> Outcome:
    """What it proves that no whole answer came."""
    causes = _causes(error)
    if NEVER_CONNECTED in causes:
        # Says nothing about the message: the sender rests, and an outage burns nobody's tries.
        failed = own("connect_failed", causes[-1])
        return Throttled(failed, failed.retry_in or 0.0)
    if isinstance(error, TimeoutError):
        return Unknown("timeout")
    if isinstance(error, DecodeError):
        return Unknown("no_answer")
    return Unknown("reset")


def _causes(error: PyreqwestError) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]


def _throttled(error: DeliveryError, header: Callable[[str], str | None]) -> Throttled:
    """Wait as long as Meta says, else as the table does."""
    wait = 0.0
    usage = header("x-business-use-case-usage")
    if usage is not None:
        try:
            limits = [limit for group in _read_usage(usage).values() for limit in group]
        except UNREADABLE:
            limits = []  # a hint of which Meta changed the shape is no hint
        wait = 60 * max((limit.estimated_time_to_regain_access for limit in limits), default=0.0)
    retry_after = (header("retry-after") or "").strip()
    if retry_after.isascii() and retry_after.isdecimal():
        wait = max(wait, float(retry_after))
    wait = min(wait, LONGEST_WAIT) if wait > 0 else error.retry_in or 1.0
    return Throttled(msgspec.structs.replace(error, retry_in=wait), wait)
