"""The roll call: after a server was restarted or replaced, each process says what it did last, before anybody goes on.

A server that does not sync each commit, or a replica that took its place, may have lost the last ones, and nobody else
may know of them than the process that made them. So the first process that meets a new run of the server opens a roll
call, and from then on nothing is committed until every process that was alive has told what its journals hold beyond
the server's last commit. A process that died is spoken for by one on its machine, which has the same journals.

A replica may not know of a process at all that joined in what it did not get. So after a failover a roll call lasts for
some beats at least, and who lives answers without being asked. (A server that comes back itself lost less than the time
that a process waits when it joins.)

Mostly nothing was lost, and that is all. If something was, what was started in it is marked as such, and the contracts
go on by themselves. Who is not heard within `PATIENCE` may have started anything: then all contracts stand still until
a person says `resume-after-restore`.
"""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from sendonce.domain.errors import StoreBusy
from sendonce.domain.rewind import Witness
from sendonce.store.journal import Journals, Moment, Since, together
from sendonce.store.ledger import bulk, rewinds
from sendonce.store.locks import InstanceLocks
from sendonce.store.redis.connection import Run
from sendonce.store.redis.keys import CALL, HISTORY
from sendonce.store.redis.packing import pack, unpack
from sendonce.store.redis.transaction import RedisTransaction

log = structlog.get_logger(__name__)

#: Milliseconds that a process has to answer; it may have to be started again with its machine.
PATIENCE = 30_000
#: Milliseconds for those whom a promoted replica does not know. Who lives beats more often, and answers then.
UNNAMED = 2_000
#: Who beat within so many milliseconds of the last beat of all may have committed something that was lost.
RECENT = 15_000
#: A journal that tells more than so many bytes is not brought together with others.
LARGEST_REPORT = 32 * 2**20

_SINCE = msgspec.msgpack.Decoder(Since)
_TOLD, _TOO_LONG, _LOST = "told:", b"?", b"lost"
#: Messages that are marked in one transaction.
_PIECE = 2000


class Question(msgspec.Struct, frozen=True):
    """What is asked: what do you know beyond these moments of the store? Some have `told`, and some are `silent`
    yet."""

    moments: list[Moment]
    told: frozenset[str]
    silent: frozenset[str]


class RollCall:
    """Takes part in roll calls for one process, in its writer's thread. `step` commits a function of a transaction
    while others cannot commit."""

    def __init__(
        self, instance: str, journals: Journals, locks: InstanceLocks, step: Callable[[Callable[..., Any]], Any]
    ) -> None:
        self._instance = instance
        self._journals = journals
        self._locks = locks
        self._step = step
        self._met: tuple[bytes, int] = b"", 0  # a roll call, and when this process met it

    def attend(self, run: Run) -> None:
        """Open a roll call if this is a new run of the server, answer, and close it if all have answered. StoreBusy
        while others have not."""
        question: Question | None = self._step(lambda tx: _begin(tx, run))
        if question is None:
            return
        # Those who died on this machine, also some whom the store may have forgotten, left their journals here.
        silent = question.silent | (self._locks.all() - question.told)
        ours = {one for one in silent if one == self._instance or self._died_here(one)}
        if ours:
            told = {one: self._tell(one, question.moments) for one in ours}
            self._step(lambda tx: self._report(tx, told))
        missing: str = self._step(self._conclude)
        if missing:
            raise StoreBusy(f"The server was restarted, and it is not known yet what was sent last by {missing}.")
        # What was started is marked before anything else: an answer or a receipt that comes then is no surprise.
        while self._step(_mark):
            continue

    def _died_here(self, instance: str) -> bool:
        """Its lock may have been tidied away by a process that joined in what was lost; its journals are here."""
        here = self._locks.knows(instance) or self._journals.knows(instance)
        return here and not self._locks.is_held(instance)

    def _tell(self, instance: str, moments: Sequence[Moment]) -> bytes:
        """What its journals know beyond these moments; nothing, mostly."""
        since = [(moment, self._journals.since(moment, instance)) for moment in moments]
        news = together([one for moment, one in since if one.last > moment.commit or one.lost])
        encoded = msgspec.msgpack.encode(news) if news.last or news.lost else b""
        return encoded if len(encoded) <= LARGEST_REPORT else _TOO_LONG

    def _report(self, tx: RedisTransaction, told: Mapping[str, bytes]) -> None:
        """Answer, and see to it that those are waited for who live on this machine: they may not be known any more."""
        if tx.draft.get(CALL, "expected") is None:
            return  # it was closed meanwhile
        before = tx.draft.fields(CALL, [_told(one) for one in told])
        answers = {one: answer for (one, answer), known in zip(told.items(), before, strict=True) if known is None}
        tx.draft.put(CALL, {_told(one): answer for one, answer in answers.items()})
        if any(answers.values()):
            tx.draft.put(CALL, {"concluded": None})  # somebody late may know more than was known
        _expect(tx, _expected(tx) | self._locks.all() | told.keys())

    def _conclude(self, tx: RedisTransaction) -> str:
        """If all have answered or had time enough, note what was lost. Says who is missing."""
        opened, concluded, promoted = tx.draft.fields(CALL, ["opened", "concluded", "promoted"])
        if opened is None or concluded is not None:
            return ""
        expected = sorted(_expected(tx))
        answers = tx.draft.fields(CALL, [_told(one) for one in expected])
        missing = {one for one, answer in zip(expected, answers, strict=True) if answer is None}
        # Counted by each process for itself: no clock is agreed on after a failover, for nobody can beat.
        if self._met[0] != opened:
            self._met = opened, tx.now
        patience = PATIENCE if missing else UNNAMED if promoted is not None else 0
        if tx.now < self._met[1] + patience:
            return _named(tx, missing) or "processes that the server may have forgotten"
        told = [answer for answer in answers if answer]
        tx.draft.put(CALL, {"concluded": _LOST if told or missing else b"nothing"})
        if told or missing:
            since = together([_SINCE.decode(answer) for answer in told if answer != _TOO_LONG])
            since.whole = not missing and _TOO_LONG not in told
            log.error("history_lost", known=since.whole, missing=_named(tx, missing) or None)
            rewinds.lost(tx, Witness.JOURNAL, since, goes_on=since.whole)
        return ""


def _begin(tx: RedisTransaction, run: Run) -> Question | None:
    """Note a new run of the server, and what has to be asked because of it."""
    known, synced, calling = tx.draft.fields(HISTORY, ["run", "synced", "calling"])
    if known != run.id.encode():
        tx.draft.put(HISTORY, {"run": run.id.encode(), "synced": b"1" if run.syncs else None})
        if calling is not None or not (known is None or (synced is not None and not run.promoted)):
            _open(tx, run.promoted)
            calling = b"1"
    if calling is None:
        return None
    now = tx.history.moment()
    asked = msgspec.msgpack.decode(tx.draft.get(CALL, "moments") or b"\x90", type=list[tuple[int, str, int]])
    branches = now.before | {now.branch}
    expected = sorted(_expected(tx))
    answers = tx.draft.fields(CALL, [_told(one) for one in expected])
    silent = frozenset(one for one, answer in zip(expected, answers, strict=True) if answer is None)
    moments = [Moment(commit, branch, fork, branches - {branch}) for commit, branch, fork in asked]
    return Question(moments, frozenset(expected) - silent, silent)


def _open(tx: RedisTransaction, promoted: bool) -> None:
    """Ask everybody who was alive. The server may have been restarted in the middle of another roll call: then what is
    asked there is asked again."""
    now = tx.history.moment()
    asked = msgspec.msgpack.decode(tx.draft.get(CALL, "moments") or b"\x90", type=list[tuple[int, str, int]])
    asked.append((now.commit, now.branch, now.fork))
    instances = tx.instances.all()
    newest = max((one.seen_at for one in instances), default=0)
    recent = {one.id for one in instances if one.seen_at >= newest - RECENT}
    tx.draft.put(CALL, {field: None for field in tx.draft.whole(CALL) if field.startswith(_TOLD)})
    tx.draft.put(CALL, {"concluded": None, "moments": msgspec.msgpack.encode(asked), "opened": secrets.token_bytes(8)})
    if promoted:
        tx.draft.put(CALL, {"promoted": b"1"})
    _expect(tx, _expected(tx) | recent)
    tx.draft.put(HISTORY, {"calling": b"1"})
    tx.history.branch_off(secrets.token_hex(4))
    log.warning("roll_call", note="The server was restarted; nothing is sent until all instances have answered.")


def _mark(tx: RedisTransaction) -> bool:
    """Mark some of what was started; when all is marked, the roll call is over. False then."""
    concluded = tx.draft.get(CALL, "concluded")
    if concluded is None:
        return False
    if concluded == _LOST and bulk.work_off(tx, _PIECE):
        return True
    tx.draft.drop([CALL])
    tx.draft.put(HISTORY, {"calling": None})
    return False


def _told(instance: str) -> str:
    return _TOLD + instance


def _expected(tx: RedisTransaction) -> set[str]:
    return set(unpack(tx.draft.get(CALL, "expected") or b"\x90"))


def _expect(tx: RedisTransaction, instances: Collection[str]) -> None:
    tx.draft.put(CALL, {"expected": pack(sorted(instances))})


def _named(tx: RedisTransaction, ids: Collection[str]) -> str:
    """As a person knows them."""
    known = {one.id: f"process {one.pid} on {one.host}" for one in tx.instances.all()}
    return ", ".join(known.get(one, one) for one in sorted(ids))
