"""Graph errors: the simulator's own table of codes, and the two shapes they travel in.

Statuses and titles were read from Meta's error page; the page of 2026 prints no HTTP column any more, so the status
of a code that came later is 400 by assumption.
"""

import hashlib
import json

from msgspec import Struct

#: code → (HTTP status, title)
TABLE: dict[int, tuple[int, str]] = {
    0: (401, "AuthException"),
    1: (400, "API Unknown"),
    2: (503, "API Service"),
    3: (500, "API Method"),
    4: (400, "API Too Many Calls"),
    10: (403, "Permission Denied"),
    33: (400, "Parameter value is not valid"),
    100: (400, "Invalid parameter"),
    104: (401, "Access token is required"),
    190: (401, "Invalid OAuth access token"),
    200: (403, "API Permission"),
    368: (403, "Temporarily blocked for policies violations"),
    2500: (400, "Unknown path components"),
    80007: (400, "Rate limit issues"),
    130403: (400, "Business has blocked this user"),
    130429: (400, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    130497: (403, "Business account is restricted from messaging users in this country"),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (500, "Service unavailable"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131030: (400, "Recipient phone number not in allowed list"),
    131031: (403, "Account has been locked"),
    131037: (400, "Display name not approved"),
    131042: (400, "Business eligibility payment issue"),
    131045: (500, "Incorrect certificate"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "This message was not delivered to maintain healthy ecosystem engagement"),
    131050: (400, "User has stopped marketing messages"),
    131051: (400, "Unsupported message type"),
    131052: (400, "Media download error"),
    131053: (400, "Media upload error"),
    131056: (400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: (500, "Account in maintenance mode"),
    131062: (400, "Business-scoped user id recipients are not supported for this message"),
    131064: (400, "Messaging limit from template classification violations"),
    132000: (400, "Number of parameters does not match the expected number of params"),
    132001: (404, "Template name does not exist in the translation"),
    132005: (400, "Template hydrated text too long"),
    132007: (400, "Template format character policy violated"),
    132012: (400, "Parameter format does not match format in the created template"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
    132018: (400, "Template validation error"),
    133004: (503, "Server temporarily unavailable"),
    133006: (400, "Phone number re-verification needed"),
    133010: (400, "Phone number not registered"),
    134102: (500, "Template unavailable for use"),
    135000: (400, "Generic user error"),
    137000: (400, "Recipient identity key hash mismatch"),
}

_HREF = "/documentation/business-messaging/whatsapp/support/error-codes"


class Refusal(Struct, frozen=True):
    """Why a request is refused. `subcode` is Graph's `error_subcode`, sent only when there is one."""

    code: int
    details: str = ""
    subcode: int | None = None

    @property
    def status(self) -> int:
        """The HTTP status of the code; 400 for a code outside the table."""
        return TABLE.get(self.code, (400, ""))[0]

    @property
    def title(self) -> str:
        """The code's title, or a plain one for a code outside the table."""
        return TABLE.get(self.code, (400, "Error"))[1]

    def body(self) -> bytes:
        """The JSON of a synchronous answer: `{"error": {"message", "type", "code", "error_data", "fbtrace_id"}}`."""
        error: dict[str, object] = {
            "message": f"(#{self.code}) {self.title}",
            "type": "OAuthException",
            "code": self.code,
            "error_data": {"messaging_product": "whatsapp", "details": self.details or self.title},
        }
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["fbtrace_id"] = "A" + hashlib.sha1(repr(error).encode(), usedforsecurity=False).hexdigest()[:22]
        return json.dumps({"error": error}, separators=(",", ":")).encode()

    def in_status(self) -> dict[str, object]:
        """The item of `errors` in a `failed` status: the title is also the message there, and the href is relative."""
        return {
            "code": self.code,
            "title": self.title,
            "message": self.title,
            "error_data": {"details": self.details or self.title},
            "href": _HREF,
        }
