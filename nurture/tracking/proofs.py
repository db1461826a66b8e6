"""Who pressed a link of a mail, told to a website of ours: sealed, good for some minutes and for one browser."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from functools import cache

from django.core.cache import cache as shared

from leads.addresses import keyed_hash

PARAMETER = "ripen"
GOOD_FOR = timedelta(minutes=10)  # a page that loads slowly; longer, and the address has been copied
_CODE = re.compile(r"[A-Za-z0-9_-]{24}")


@cache
def _keys() -> tuple[bytes, bytes]:
    return keyed_hash("mail clicks: signed").encode(), keyed_hash("mail clicks: sealed").encode()


def sealed(sending_id: int, *, now: datetime) -> str:
    """24 letters that say which mail and when, to us alone."""
    signing, sealing = _keys()
    body = sending_id.to_bytes(6, "big") + int(now.timestamp()).to_bytes(5, "big")
    tag = hashlib.blake2b(body, digest_size=7, key=signing).digest()
    return base64.urlsafe_b64encode(tag + _mixed(body, tag, sealing)).decode()


def opened(code: str, *, now: datetime) -> int | None:
    """The mail's number; None for what we did not make, or too long ago. No statement."""
    if not _CODE.fullmatch(code):
        return None
    try:
        raw = base64.urlsafe_b64decode(code)
    except (binascii.Error, ValueError):
        return None
    signing, sealing = _keys()
    tag, body = raw[:7], _mixed(raw[7:], raw[:7], sealing)
    if not hmac.compare_digest(tag, hashlib.blake2b(body, digest_size=7, key=signing).digest()):
        return None
    age = now - datetime.fromtimestamp(int.from_bytes(body[6:], "big"), UTC)
    return int.from_bytes(body[:6], "big") if -timedelta(minutes=1) <= age <= GOOD_FOR else None


def is_first(code: str, visitor: str) -> bool:
    """Whether no other browser brought this proof before: an address that was passed on proves nothing. Two round trips to the cache."""
    key = f"nurture:click:{code}"
    return shared.add(key, visitor, timeout=2 * int(GOOD_FOR.total_seconds())) or shared.get(key) == visitor


def _mixed(data: bytes, tag: bytes, key: bytes) -> bytes:
    pad = hashlib.blake2b(tag, digest_size=len(data), key=key).digest()
    return bytes(one ^ other for one, other in zip(data, pad, strict=True))


def with_proof(address: str, code: str) -> str:
    """The address with the proof behind its other values."""
    before, hash_, fragment = address.partition("#")
    joint = "" if before.endswith(("?", "&")) else "&" if "?" in before else "?"
    return f"{before}{joint}{PARAMETER}={code}{hash_}{fragment}"
