"""What `bench rate` makes of the moments at which requests came."""

import http.client
import time

import pytest

from sendonce.bench.rate import busiest, share
from sendonce.bench.receiver import Receiver


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([5.0], 1),
        ([0.0, 0.5, 1.0], 2),  # the first second is over when the third comes
        ([0.0, 0.9, 1.0, 1.1, 1.2, 1.89], 5),
        ([n / 64 for n in range(400)], 64),
    ],
)
def test_the_busiest_second_begins_anywhere(times: list[float], most: int) -> None:
    """The most arrivals in a second are found wherever it begins."""
    assert busiest(times) == most


def test_a_share_counts_from_the_first_arrival() -> None:
    """A share is of what the rate allows from the first arrival on, whatever the clock says."""
    assert share([100 + n / 40 for n in range(80)], 80, 2) == pytest.approx(0.5, abs=0.01)


def test_a_receiver_tells_what_came_and_when() -> None:
    """Each request is noted with its recipient and the moment at which it came."""
    with Receiver() as receiver:
        before = time.monotonic()
        connection = http.client.HTTPConnection(receiver.url.removeprefix("http://"))
        for number in (79160000002, 79160000001):
            connection.request("POST", "/", f'{{"to":"+{number}"}}')
            assert b"wamid" in connection.getresponse().read()
        connection.close()
        times, numbers = receiver.arrivals()
        assert numbers.tolist() == [79160000002, 79160000001]
        assert before < times[0] < times[1] < time.monotonic()
        assert receiver.count() == 2
