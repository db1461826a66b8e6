"""How an e-mail address is kept when the address itself must go: a hash with the instance's own key. And the parts of an address."""

from __future__ import annotations

import hashlib
from functools import cache

from leads import queries_consent
from leads.text import normal_address


@cache
def _key() -> bytes:
    """Once for each process. The key lives in the database beside the rows that need it (migration 0008)."""
    return queries_consent.address_key()


def address_hash(address: str) -> str:
    """Hexadecimal; what `leads_address_hash(address)` says in the database. Without the key nobody can try addresses against it."""
    return hashlib.sha256(_key() + hashlib.sha256(normal_address(address).encode()).digest()).hexdigest()


def keyed_hash(text: str) -> str:
    """For what is kept as a proof only, such as a network address: the same text gives the same 32 letters."""
    return hashlib.sha256(_key() + hashlib.sha256(f"text:{text}".encode()).digest()).hexdigest()[:32]


def domain_of(address: str) -> str:
    return normal_address(address).rpartition("@")[2]


def masked(address: str) -> str:
    """For a page that anybody with the link may see: `a…@example.com`."""
    local, _at, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}" if local else "…"
