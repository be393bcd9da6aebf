"""Metrics in the text format."""

from prometheus_client.parser import text_string_to_metric_families

from sendonce.observe.metrics import Metrics


def samples(body: bytes) -> dict[tuple[str, str], float]:
    """Values by name and label, as a Prometheus server reads them."""
    families = text_string_to_metric_families(body.decode())
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_counts_come_from_the_store_at_scrape() -> None:
    """States without messages are there too, as zero."""
    found = samples(Metrics().render({"active": 2}, {"waiting": 5, "failed": 0}, 3))
    assert found["sendonce_contracts", "active"] == 2
    assert found["sendonce_messages", "waiting"] == 5
    assert found["sendonce_messages", "failed"] == 0
    assert found["sendonce_quarantined_posts", ""] == 3


def test_sub_batches_add_up() -> None:
    """Outcomes, commits and times are totals of the process."""
    metrics = Metrics()
    metrics.sub_batch({"accepted": 2}, [0.004, 0.2])
    metrics.sub_batch({"accepted": 1, "unknown": 1}, [0.2, 31.0])
    metrics.requests_in_flight = 7
    found = samples(metrics.render({}, {}, 0))
    assert found["sendonce_outcomes_total", "accepted"] == 3
    assert found["sendonce_outcomes_total", "unknown"] == 1
    assert found["sendonce_outcomes_total", "refused"] == 0
    assert found["sendonce_commits_total", ""] == 2
    assert found["sendonce_requests_in_flight", ""] == 7


def test_the_histogram_is_cumulative() -> None:
    """A bucket counts everything up to its bound; the last one counts all."""
    metrics = Metrics()
    metrics.sub_batch({}, [0.005, 0.2, 31.0])
    found = samples(metrics.render({}, {}, 0))
    assert found["sendonce_send_seconds_bucket", "0.005"] == 1
    assert found["sendonce_send_seconds_bucket", "0.25"] == 2
    assert found["sendonce_send_seconds_bucket", "+Inf"] == 3
    assert found["sendonce_send_seconds_count", ""] == 3
    assert found["sendonce_send_seconds_sum", ""] == 31.205
