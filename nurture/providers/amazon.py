"""Whether Amazon's notification service signed a message, for a topic of ours; and the answer to its question whether we want them.

The certificate comes from Amazon's own hosts alone, by TLS, through nurture.outside, and is kept for a day. No address out of a message is
called: the one that confirms a subscription is made of the topic and the token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.conf import settings
from django.core.cache import cache

from nurture import access, outside
from nurture.providers.refusals import Forged, Unproven

SECONDS = 5.0  # for Amazon's answer; it waits for ours no longer than 15
KEPT_SECONDS = 86_400
NOTHING_SECONDS = 60
LARGEST = 20_000  # characters of a certificate; theirs have about 2,000
MOST_FETCHES = 10  # a minute, whoever asks: certificates that nobody has would cost us a request each
# A region, and nothing that could be a bucket of somebody's: s3-eu-west-1 is none.
_REGION = r"[a-z]{2}(?:-[a-z]+){1,3}-\d{1,2}"
_CERTIFICATE = re.compile(rf"https://sns\.{_REGION}\.amazonaws\.com(?:\.cn)?/[A-Za-z0-9_-]{{1,120}}\.pem")
_TOPIC = re.compile(rf"arn:(aws[a-z-]{{0,20}}):sns:({_REGION}):\d{{12}}:[A-Za-z0-9_.-]{{1,256}}")
_ASKS = "SubscriptionConfirmation"
# What is signed, in this order. A subject is there or not; what may stand on several lines comes from the publisher.
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    _ASKS: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SEVERAL_LINES = ("Message", "Subject")
_HASHES: Mapping[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 -- Amazon's default


def check(message: Any, *, now: datetime) -> None:
    """Nothing, where Amazon signed it for a topic of EMAIL_EVENTS_TOPIC (for any, where none is named). Raises Forged, Unproven."""
    if not isinstance(message, dict):
        raise Forged("no document")
    words = _signed_words(message)
    topic = str(message["TopicArn"])
    if not _TOPIC.fullmatch(topic):
        raise Forged("no topic")
    if settings.EMAIL_EVENTS_TOPIC and topic not in settings.EMAIL_EVENTS_TOPIC:
        raise Forged("another topic")
    algorithm = _HASHES.get(str(message.get("SignatureVersion")))
    if algorithm is None:
        raise Forged("unknown version of signatures")
    try:
        signature = base64.b64decode(_text(message, "Signature"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Forged("no signature") from error
    key = _key(_text(message, "SigningCertURL"), now)
    try:
        key.verify(signature, words, padding.PKCS1v15(), algorithm)
    except InvalidSignature as error:
        raise Forged("wrong signature") from error
    except UnsupportedAlgorithm as error:
        raise Unproven("this machine allows no SHA-1; set SignatureVersion 2 at the topic") from error


def confirm(message: Mapping[str, Any]) -> None:
    """Say yes to the topic's question whether we want its messages, after `check`. Nothing for other messages. Raises Unproven."""
    if message["Type"] != _ASKS:
        return
    found = _TOPIC.fullmatch(message["TopicArn"])
    assert found is not None
    country = ".cn" if found[1] == "aws-cn" else ""
    asked = {"Action": "ConfirmSubscription", "TopicArn": found[0], "Token": message["Token"]}
    answer = _fetched(f"https://sns.{found[2]}.amazonaws.com{country}/?{urlencode(asked)}")
    if answer.status != 200:
        raise Unproven(f"subscription not confirmed: {answer.status or ''} {answer.words}"[:300])


def _signed_words(message: Mapping[str, Any]) -> bytes:
    """The text that Amazon signs: each name and value on a line. Raises Forged where its parts could be told apart in two ways."""
    kind = message.get("Type")
    names = _SIGNED.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise Forged("unknown type")
    lines = []
    for name in names:
        if name == "Subject" and message.get(name) is None:
            continue
        value = _text(message, name)
        if name not in _SEVERAL_LINES and len(value.splitlines()) != 1:
            raise Forged(f"{name} on several lines")
        lines.append(f"{name}\n{value}\n")
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError as error:  # half a character
        raise Forged("not text") from error


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise Forged(f"{name} is no text")
    return value


def _key(url: str, now: datetime) -> rsa.RSAPublicKey:
    """The key of the certificate at an address of Amazon's. Raises Forged for other addresses, Unproven where it cannot be had or used."""
    if not _CERTIFICATE.fullmatch(url):
        raise Forged("certificate of somebody else")
    certificate = _certificate(_pem(url))
    if certificate is None:
        raise Unproven("no certificate at its address")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Unproven("the certificate is not valid now")
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise Unproven("the certificate has no RSA key")
    return key


def _pem(url: str) -> str:
    """From the cache, else from Amazon; also that there is none at this address is known for a minute."""
    place = f"nurture:sns-certificate:{hashlib.sha256(url.encode()).hexdigest()}"
    found = cache.get(place)
    if found is None:
        answer = _fetched(url)
        found = answer.words if answer.status == 200 and _certificate(answer.words) else ""
        cache.set(place, found, KEPT_SECONDS if found else NOTHING_SECONDS)
    return str(found)


def _certificate(pem: str) -> x509.Certificate | None:
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
        found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return found


def _fetched(url: str) -> outside.Answer:
    if access.is_over("sns-fetches", MOST_FETCHES):
        raise Unproven("too many requests to Amazon within a minute")
    try:
        return outside.get(url, seconds=SECONDS, kept=LARGEST)
    except outside.Refused as error:
        raise Unproven(str(error)) from error
