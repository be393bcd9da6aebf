"""The settings of a WhatsApp sender and its account: checked when they are given, resolved when they are used."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sendonce.channels.secrets import is_reference, resolve
from sendonce.domain.errors import InvalidInput

SECRETS = frozenset({"accessToken", "appSecret", "verifyToken"})
#: What belongs to the account; a sender's own value goes before its account's.
OF_ACCOUNT = SECRETS | {"baseUrl", "graphVersion"}
#: Version of the Graph API, usable until October 2027 by Meta's changelog.
GRAPH_VERSION = "v23.0"
BASE_URL = "https://graph.facebook.com"

_PHONE_NUMBER_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]{1,2}")
_TOKEN = re.compile(r"[!-~]+")


class Endpoint(msgspec.Struct, frozen=True):
    """Where a sender's messages are posted, and the token that lets them in."""

    url: str
    access_token: str


def check(settings: Mapping[str, Any]) -> None:
    """InvalidInput naming the first setting that is unknown, missing or wrong."""
    for name, value in settings.items():
        if name != "phoneNumberId" and name not in OF_ACCOUNT:
            raise InvalidInput(f"settings.{name}", "is no setting of the whatsapp channel. Leave it out.")
        if not isinstance(value, str) or not value.strip():
            raise InvalidInput(f"settings.{name}", "must be a text that is not empty.")
        if name in SECRETS and value in ("env:", "file:"):
            raise InvalidInput(f"settings.{name}", "names no variable or file. Write env:NAME or file:PATH.")
    for name in ("phoneNumberId", "accessToken"):
        if name not in settings:
            raise InvalidInput(f"settings.{name}", "is required.")
    if not _PHONE_NUMBER_ID.fullmatch(settings["phoneNumberId"]):
        raise InvalidInput(
            "settings.phoneNumberId", "must be the number's id in WhatsApp Manager, not the number itself."
        )
    token = settings["accessToken"]
    if not is_reference(token) and not _TOKEN.fullmatch(token):
        raise InvalidInput("settings.accessToken", "has spaces or letters that no token has. Copy it again.")
    if not _VERSION.fullmatch(settings.get("graphVersion", GRAPH_VERSION)):
        raise InvalidInput("settings.graphVersion", f"must look like {GRAPH_VERSION}.")
    _check_base_url(settings.get("baseUrl", BASE_URL))


def _check_base_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _TOKEN.fullmatch(url):
        raise InvalidInput("settings.baseUrl", f"must be an address like {BASE_URL}.")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidInput("settings.baseUrl", "must hold no user, query or fragment.")


def endpoint(settings: Mapping[str, Any]) -> Endpoint:
    """Where to post with these settings, the token resolved. InvalidInput, SettingsError."""
    check(settings)
    base = settings.get("baseUrl", BASE_URL).rstrip("/")
    version = settings.get("graphVersion", GRAPH_VERSION)
    token = resolve("accessToken", settings["accessToken"])
    return Endpoint(f"{base}/{version}/{settings['phoneNumberId']}/messages", token)
