"""Metrics in Prometheus' format.

| metric | kind | labels | meaning |
|---|---|---|---|
| `sendonce_messages` | gauge | `state` | messages by state, over all contracts; read at scrape |
| `sendonce_contracts` | gauge | `state` | contracts by state; read from the store at scrape |
| `sendonce_quarantined_posts` | gauge | | webhook posts that could not be read |
| `sendonce_outcomes_total` | counter | `outcome` | accepted, refused, throttled, unknown, unsent attempts here |
| `sendonce_requests_in_flight` | gauge | | requests of this process that wait for a provider's answer |
| `sendonce_send_seconds` | histogram | | from a request's start to the provider's answer |
| `sendonce_commits_total` | counter | | sub-batches of this process that were committed |

The numbers are kept as plain ints and turned into metric families only at scrape: the senders' loop must not pay for
a lock per message.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

#: Upper bounds in seconds. A healthy provider answers in 50 to 500 ms; the last one is the default request time-out.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The numbers of one process. Not thread-safe: called from the event loop only."""

    def __init__(self) -> None:
        self._outcomes = dict.fromkeys(("accepted", "refused", "throttled", "unknown", "unsent"), 0)
        #: Requests that wait for an answer now; the sending loops count it up and down.
        self.requests_in_flight = 0
        self._commits = 0
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def sub_batch(self, outcomes: Mapping[str, int], seconds: Iterable[float]) -> None:
        """A sub-batch was committed: its outcomes by name, and how long each request took."""
        self._commits += 1
        for outcome, number in outcomes.items():
            self._outcomes[outcome] = self._outcomes.get(outcome, 0) + number
        for each in seconds:
            self._buckets[bisect_left(BUCKETS, each)] += 1
            self._seconds += each

    def render(self, contracts: Mapping[str, int], messages: Mapping[str, int], quarantined: int) -> bytes:
        """The scrape's body. `contracts` and `messages` are counts by state, as the store has them now."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Snapshot([*self._own(), *_ledger(contracts, messages, quarantined)]))
        return generate_latest(registry)

    def _own(self) -> Iterator[Metric]:
        outcomes = CounterMetricFamily("sendonce_outcomes", "Attempts of this process.", labels=["outcome"])
        for outcome, number in self._outcomes.items():
            outcomes.add_metric([outcome], number)
        yield outcomes
        yield GaugeMetricFamily(
            "sendonce_requests_in_flight", "Requests that wait for an answer.", self.requests_in_flight
        )
        yield CounterMetricFamily("sendonce_commits", "Sub-batches committed by this process.", self._commits)
        total, cumulative = 0, []
        for bound, number in zip([*map(str, BUCKETS), "+Inf"], self._buckets, strict=True):
            total += number
            cumulative.append((bound, total))
        yield HistogramMetricFamily(
            "sendonce_send_seconds", "From a request's start to the answer.", cumulative, self._seconds
        )


def _ledger(contracts: Mapping[str, int], messages: Mapping[str, int], quarantined: int) -> Iterator[Metric]:
    for name, text, counts in (
        ("sendonce_messages", "Messages by state.", messages),
        ("sendonce_contracts", "Contracts by state.", contracts),
    ):
        family = GaugeMetricFamily(name, text, labels=["state"])
        for state, number in counts.items():
            family.add_metric([state], number)
        yield family
    yield GaugeMetricFamily("sendonce_quarantined_posts", "Webhook posts that could not be read.", quarantined)


class _Snapshot:
    """A collector of families that are made already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families
