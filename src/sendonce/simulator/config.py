"""What a simulator is started with."""

from pathlib import Path

from msgspec import Struct, field

from .faults import Faults, require_share


class BusinessNumber(Struct, frozen=True, kw_only=True):
    """A number of the business. All numbers of a simulator belong to one app, so they share its secret."""

    phone_number_id: str = "100000000000001"
    #: Digits only, with the country code, as Meta shows it in webhooks.
    display_number: str = "15550100001"
    #: Prepended to a recipient that is given without `+`, as Meta does.
    country_code: str = "1"
    access_token: str = "simulator-token"
    waba_id: str = "200000000000001"


class Template(Struct, frozen=True, kw_only=True):
    """An approved template. `parameters` is the number of variables in its body."""

    name: str
    language: str = "en_US"
    parameters: int = 0
    category: str = "marketing"


class Behaviour(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the provider and the recipients behave when nothing is wrong; changeable while it runs."""

    #: Mean time from a request to its answer in milliseconds, and how far it strays both ways.
    latency_ms: float = 0
    jitter_ms: float = 0
    #: Messages per second and number; Meta's default is 80. `None` is no limit.
    rate: int | None = 80
    #: Share of messages that reach a phone, and share of those that are read.
    delivered: float = 0.98
    read: float = 0.7
    #: Share of the read ones whose `delivered` status is left out, as when the chat is open.
    read_at_once: float = 0.05
    #: Error code → share of accepted messages that end in a `failed` status with it.
    failed: dict[int, float] = field(default_factory=dict)
    #: Mean time from acceptance to `sent` (or `failed`), from there to `delivered`, from there to `read`; each
    #: strays by half of itself.
    sent_ms: float = 50
    delivered_ms: float = 300
    read_ms: float = 2000

    #: Whether status webhooks name the person in `contacts` beside `statuses`, as they do since business-scoped user
    #: ids came; Meta's examples have none, some clients can't do without.
    contacts: bool = True

    def __post_init__(self) -> None:
        for name in ("delivered", "read", "read_at_once"):
            require_share(name, getattr(self, name))
        for code, share in self.failed.items():
            require_share(f"failed[{code}]", share)
        if sum(self.failed.values()) > 1 + 1e-9:
            raise ValueError("the shares in failed add up to more than 1")
        for name in ("latency_ms", "jitter_ms", "sent_ms", "delivered_ms", "read_ms"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} can't be negative")
        if self.rate is not None and self.rate < 0:
            raise ValueError("rate can't be negative; null is no limit")


class Delivery(Struct, frozen=True, kw_only=True):
    """How status webhooks are posted."""

    #: Where to; `None` posts nothing and keeps nothing.
    callback_url: str | None = None
    #: Posts in flight at most. Meta posts in parallel too.
    connections: int = 32
    #: Seconds for an answer; a slower receiver gets the post again.
    timeout: float = 10
    #: Factor on the waits between repetitions and on the 7 days after which Meta drops an update. At 0.01 the first
    #: waits are 0, 0.6, 1.2, 3 and 6 seconds.
    retry_scale: float = 0.01
    #: Updates kept at most while they can't be delivered; what comes on top is dropped and counted.
    max_pending: int = 1_000_000
    #: Do the GET handshake before the simulator is ready; a wrong answer raises `HandshakeFailed`.
    handshake: bool = False


class SimulatorConfig(Struct, frozen=True, kw_only=True):
    """Everything a simulator is started with; the defaults suit a demo on one machine."""

    host: str = "127.0.0.1"
    #: 0 takes a free port, which `serve` reports through `ready`.
    port: int = 0
    #: Same seed, same recipients, same attempts: same fates.
    seed: int = 1
    #: The oracle log, appended to; `None` keeps none.
    oracle: Path | None = None
    numbers: tuple[BusinessNumber, ...] = (BusinessNumber(),)
    #: Signs the webhooks.
    app_secret: str = "simulator-secret"
    #: Sent in the handshake.
    verify_token: str = "simulator-verify"
    #: When empty, every template name and parameter count is taken.
    templates: tuple[Template, ...] = ()
    behaviour: Behaviour = Behaviour()
    faults: Faults = Faults()
    delivery: Delivery = Delivery()
    #: Whether `/control` also answers callers from other machines.
    control_remote: bool = False

    def __post_init__(self) -> None:
        ids = [number.phone_number_id for number in self.numbers]
        if not ids:
            raise ValueError("numbers needs at least one number")
        if len(set(ids)) != len(ids):
            raise ValueError("two numbers have the same phone_number_id")
