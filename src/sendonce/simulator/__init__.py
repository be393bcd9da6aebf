"""A stand-in of the WhatsApp Cloud API for tests, demos and benchmarks.

It speaks real HTTP, posts signed status webhooks, plays faults on demand, repeats a run from its seed, and keeps an
oracle log of what each recipient was really given. It imports nothing from the rest of the product, so that both can't
share a mistake.
"""

from . import oracle
from .config import Behaviour, BusinessNumber, Delivery, SimulatorConfig, Template
from .faults import Fault, Faults
from .service import Simulator, serve
from .webhooks import HandshakeFailed

__all__ = [
    "Behaviour",
    "BusinessNumber",
    "Delivery",
    "Fault",
    "Faults",
    "HandshakeFailed",
    "Simulator",
    "SimulatorConfig",
    "Template",
    "oracle",
    "serve",
]
