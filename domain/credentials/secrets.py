"""Machine secrets: 256 random bits, shown once, found again by their HMAC-SHA-256 under the server's key.

A keyed hash is enough for what cannot be guessed, and 5,000 stations coming back can afford it.
"""

import hmac
import secrets
from typing import Protocol

PREFIX = "vg_"  # so that a leaked secret can be recognized by scanners


class SecretKey(Protocol):
    """Port: the server's key for hashing machine secrets."""

    def key(self) -> bytes: ...


def new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: SecretKey, secret: str | bytes) -> bytes:
    raw = secret if isinstance(secret, bytes) else secret.encode()
    return hmac.digest(key.key(), raw, "sha256")
