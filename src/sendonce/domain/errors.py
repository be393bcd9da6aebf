"""What can go wrong, as one tree. Each error says what to do next, so that a caller never has to guess.

SendonceError
├── InvalidInput        a field, row or setting is wrong; names it                   (HTTP 400, exit code 2)
├── Unauthorized        no key, or a wrong one                                       (HTTP 401)
├── NotFound            no such contract, message, sender, account                   (HTTP 404)
├── WrongState          the call does not fit the state the thing is in              (HTTP 409)
├── Conflict            a name or an idempotency key is taken by something else      (HTTP 409)
├── TooLarge            a body over its limit                                        (HTTP 413)
├── SettingsError       a setting or an address that the process cannot start with   (exit code 2)
└── StoreError          the store could not do it; nothing was half-done             (HTTP 503)
    ├── StoreBusy       locked by another process for too long
    ├── StoreFull       no space left, or a file that cannot be written
    ├── StoreInDoubt    nobody knows whether it was done: look before you ask again
    └── StoreUnusable   wrong version, not a database, no permission: starting over won't help
"""


class SendonceError(Exception):
    """Root of the tree. `str(error)` is one or two sentences: what is wrong, and what to do."""


class InvalidInput(SendonceError):
    """Input that cannot be taken. `field` is the path of the field, row or setting: `retry.attempts`, `row 17`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class Unauthorized(SendonceError):
    """The call needs a key it does not carry."""


class NotFound(SendonceError):
    """Nothing by that name or id. `kind` is a word of the domain: `contract`, `sender`."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"There is no {kind} {name!r}.")
        self.kind = kind
        self.name = name


class WrongState(SendonceError):
    """The call does not fit the state that the thing is in."""


class Conflict(SendonceError):
    """The name or idempotency key is already taken by something different."""


class TooLarge(SendonceError):
    """A request body over its limit."""


class SettingsError(SendonceError):
    """A setting that the process cannot start with. Names the setting and what to change."""


class StoreError(SendonceError):
    """The store could not do it. What was asked is not done, not even in part."""


class StoreBusy(StoreError):
    """Another process holds the store's lock for longer than we wait."""


class StoreFull(StoreError):
    """The disk is full or the file cannot be written."""


class StoreInDoubt(StoreError):
    """The one error after which it may be done, all of it: the store took it, but could not note that elsewhere, so
    nothing acts on it."""


class StoreUnusable(StoreError):
    """The file is not ours, is of a newer version, or may not be opened. Trying again won't help."""
