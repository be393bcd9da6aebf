"""A sender is paused with its account, and its own settings go before the account's."""

import pytest

from sendonce.domain.sender import Account, Sender


def sender(own: tuple[str, ...], accounts: tuple[str, ...]) -> Sender:
    account = Account("a1", 1, "shop", "whatsapp", {"accessToken": "t", "graphVersion": "v20"}, accounts, 0)
    return Sender("s1", 1, "main", "whatsapp", account, 60.0, {"graphVersion": "v23"}, own, 0)


@pytest.mark.parametrize(
    ("own", "accounts", "paused"),
    [((), (), False), (("person",), (), True), ((), ("token",), True), (("person",), ("token",), True)],
)
def test_paused_with_its_account(own: tuple[str, ...], accounts: tuple[str, ...], paused: bool) -> None:
    """One cause, of the sender or of its account, pauses it."""
    assert sender(own, accounts).paused is paused


def test_own_settings_go_first() -> None:
    """The sender's settings lie over the account's."""
    assert sender((), ()).effective_settings() == {"accessToken": "t", "graphVersion": "v23"}
