"""Why what came by a webhook is not taken; the messages are for our log alone."""

from __future__ import annotations


class Forged(Exception):
    """It does not prove that the provider sent it."""


class Unproven(Exception):
    """It cannot be told now whether the provider sent it, which has nothing to do with what it says: later, please."""


class Unreadable(Exception):
    """The provider sent it, and it is not what its documentation says."""
