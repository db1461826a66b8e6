"""What an error of a provider's interface means for the mail: refused, later, or perhaps on its way."""

from __future__ import annotations

import ssl
from typing import Any

import requests
from anymail.exceptions import AnymailAPIError, AnymailError, AnymailRecipientsRefused
from django.core.exceptions import ImproperlyConfigured
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from nurture.mailing.smtp import Answer, Verdict
from nurture.providers.accounts import Provider

# The account is not let in, or gets no more for now; nothing of it is about this mail, which waits.
_ACCOUNT = frozenset({401, 402, 403, 404, 405, 407, 408, 429, 503})
_NOT_CONNECTED = (NewConnectionError, ConnectTimeoutError, NameResolutionError, ssl.SSLCertVerificationError)
# botocore's own names, so that it is loaded only where it is used
_NOT_CONNECTED_NAMES = frozenset(
    {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "NoRegionError",
        "SSLError",
        "ProxyConnectionError",
        "InvalidRegionError",
    }
)


def answer_to(error: Exception, provider: Provider) -> Answer:
    """Only where nothing can have been taken does a mail go back into the queue; what nobody knows is uncertain."""
    if isinstance(error, AnymailRecipientsRefused):
        return Answer(Verdict.BAD_ADDRESS, _words_of(getattr(error, "response", None)) or str(error))
    if isinstance(error, AnymailAPIError):
        response = error.response
        return _said(response, provider) if response is not None else _unheard(error)
    if isinstance(error, AnymailError):  # it could not be put into the provider's words: nothing was offered
        return Answer(Verdict.PERMANENT, _short(str(error)))
    if isinstance(error, ImproperlyConfigured):
        return Answer(Verdict.SERVER_DOWN, _short(str(error)))
    return Answer(Verdict.UNCERTAIN, type(error).__name__)


def _said(response: Any, provider: Provider) -> Answer:
    """The provider answered."""
    code, words = _code_of(response), _words_of(response)
    if code in _ACCOUNT or _codes_in(response) & provider.account_codes or "not verified" in words:
        return Answer(Verdict.SERVER_DOWN, words)
    if 400 <= code < 500:
        return Answer(Verdict.PERMANENT, words)
    return Answer(Verdict.UNCERTAIN, words)  # 5xx: taken or not, nobody knows; 2xx that cannot be read: probably taken


def _unheard(error: Exception) -> Answer:
    """No answer. The library hides the reason some layers down."""
    chain = _reasons(error)
    words = _short(f"{type(chain[-1]).__name__}: {chain[-1]}")
    is_before = any(isinstance(one, (*_NOT_CONNECTED, requests.exceptions.ProxyError)) for one in chain)
    if is_before or any(type(one).__name__ in _NOT_CONNECTED_NAMES and _is_botocore(one) for one in chain):
        return Answer(Verdict.SERVER_DOWN, words)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        return Answer(Verdict.SERVER_DOWN, words)
    return Answer(Verdict.UNCERTAIN, words)


def _is_botocore(error: BaseException) -> bool:
    return type(error).__module__.startswith("botocore.")


def _reasons(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found and len(found) < 10:
        found.append(one)
        inner = getattr(one, "reason", None) or (one.args[0] if one.args else None)
        one = inner if isinstance(inner, BaseException) else one.__cause__
    return found


def _code_of(response: Any) -> int:
    if isinstance(response, dict):  # Amazon's
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    return int(response.status_code)


def _codes_in(response: Any) -> set[str]:
    """Codes of the provider's own, beside HTTP's."""
    if isinstance(response, dict):
        return {str(response.get("Error", {}).get("Code", ""))}
    try:
        document = response.json()
    except ValueError:
        return set()
    return {str(document["ErrorCode"])} if isinstance(document, dict) and "ErrorCode" in document else set()


def _words_of(response: Any) -> str:
    """`422 Inactive recipient`: the code and what the provider says, cut to what is stored."""
    if response is None:
        return ""
    if isinstance(response, dict):
        error = response.get("Error", {})
        return _short(f"{_code_of(response)} {error.get('Code', '')}: {error.get('Message', '')}")
    return _short(f"{response.status_code} {_message_in(response) or response.reason or ''}")


def _message_in(response: requests.Response) -> str:
    try:
        document = response.json()
    except ValueError:
        return response.text[:300]
    if isinstance(document, dict):
        errors = document.get("errors")
        if isinstance(errors, list) and errors and isinstance(errors[0], dict):
            document = errors[0]
        return str(document.get("message") or document.get("Message") or "")
    return ""


def _short(words: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in words).split())[:300]
