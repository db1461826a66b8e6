"""Which providers there are, and the one account that EMAIL_URL names: `postmark://token@`, `mailgun://key@mg.example.org?region=eu` …"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from nurture.mailing.smtp import MOST_CONNECTIONS

SECONDS = 30  # for each answer of the provider
CONNECTIONS = 4  # of one run at a time: a call takes 50 to 300 ms, nearly all of it waiting
_OPTIONS = ("api", "tracking", "connections")


@dataclass(frozen=True)
class Account:
    """How mail leaves by one provider. Its secrets stand in no representation, so in no log."""

    provider: Provider
    user: str
    password: str
    domain: str
    options: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<Account {self.name}>"

    @property
    def name(self) -> str:
        """For people and logs."""
        return f"{self.provider.slug}:{self.domain}" if self.domain else self.provider.slug

    @property
    def connections(self) -> int:
        return int(self.options.get("connections", CONNECTIONS))

    @property
    def is_tracking(self) -> bool:
        """Opens and clicks are the provider's business, not ours: links do not lead by us."""
        return self.options.get("tracking") == "provider"

    @classmethod
    def from_url(cls, url: str) -> Account:
        """Raises ImproperlyConfigured in words, which hold none of the secrets."""
        parts = urlsplit(url)
        provider = PROVIDERS[parts.scheme]
        options = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if unknown := sorted(set(options) - {*_OPTIONS, *provider.options}):
            known = ", ".join([*_OPTIONS, *provider.options])
            raise ImproperlyConfigured(f"EMAIL_URL: {provider.slug} knows no “{unknown[0]}”; known are {known}.")
        account = cls(
            provider, unquote(parts.username or ""), unquote(parts.password or ""), parts.hostname or "", options
        )
        if not account.user and not provider.may_be_without_key:
            raise ImproperlyConfigured(f"EMAIL_URL: expected {provider.example}.")
        if provider.needs_domain and not account.domain:
            raise ImproperlyConfigured(f"EMAIL_URL: expected {provider.example}.")
        if options.get("connections", "1") not in map(str, range(1, MOST_CONNECTIONS + 1)):
            raise ImproperlyConfigured(f"EMAIL_URL: connections is 1 to {MOST_CONNECTIONS}.")
        if options.get("tracking", "ours") not in ("ours", "provider"):
            raise ImproperlyConfigured("EMAIL_URL: tracking is ours or provider.")
        if account.is_tracking and not provider.has_tracking_switch:
            raise ImproperlyConfigured(
                f"EMAIL_URL: {provider.words} cannot be told whose opens and clicks it may note; leave tracking to Ripen."
            )
        return account


@dataclass(frozen=True)
class Provider:
    """`settings_of` gives what the library's backend is made with, `webhook` names its reader of events.

    `signing` is how that reader calls the key that checks the provider's own signature; empty where it signs nothing. `account_codes`:
    what the provider says of the account, not of this mail; the mail waits. `machine` and `place` look into an event: was it a machine by
    the provider's own word, and from which network address did it come.
    """

    slug: str
    words: str
    backend: str
    webhook: str
    example: str
    settings_of: Callable[[Account], dict[str, Any]]
    signing: str = ""
    options: tuple[str, ...] = ()
    headers: Mapping[str, str] | None = None
    account_codes: frozenset[str] = frozenset()
    is_about_mailbox: Callable[[Mapping[str, Any]], bool] = lambda event: False
    machine: Callable[[Mapping[str, Any]], str] = lambda event: ""
    place: Callable[[Mapping[str, Any]], str] = lambda event: ""
    has_tracking_switch: bool = True
    needs_domain: bool = False
    may_be_without_key: bool = False


def _api(account: Account, usual: str = "") -> dict[str, Any]:
    """The address of the interface, where EMAIL_URL says another one, and how long an answer may take."""
    address = account.options.get("api", usual)
    return {"timeout": SECONDS} | ({"api_url": address} if address else {})


def _ses(account: Account) -> dict[str, Any]:
    """Without a key the machine's own role is used. Never a second try by the library: the first may have left."""
    session = {"region_name": account.domain}
    if account.user:
        session |= {"aws_access_key_id": account.user, "aws_secret_access_key": account.password}
    config = {"read_timeout": SECONDS, "connect_timeout": SECONDS, "retries": {"total_max_attempts": 1}}
    client: dict[str, Any] = {"config": config}
    if "api" in account.options:
        client["endpoint_url"] = account.options["api"]
    found: dict[str, Any] = {"session_params": session, "client_params": client}
    if "configuration_set" in account.options:
        found["configuration_set_name"] = account.options["configuration_set"]
    return found


def _mailgun(account: Account) -> dict[str, Any]:
    usual = "https://api.eu.mailgun.net/v3" if account.options.get("region") == "eu" else ""
    return _api(account, usual) | {"api_key": account.user, "sender_domain": account.domain}


def _mailgun_data(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found = event.get("event-data")
    return found if isinstance(found, dict) else {}


def _mailgun_machine(event: Mapping[str, Any]) -> str:
    client = _mailgun_data(event).get("client-info") or {}
    return "proxy" if client.get("bot") else ""


def _ses_event(event: Mapping[str, Any]) -> Mapping[str, Any]:
    for kind in ("bounce", "open", "click"):
        if isinstance(found := event.get(kind), dict):
            return found
    return {}


PROVIDERS: dict[str, Provider] = {
    one.slug: one
    for one in (
        Provider(
            slug="ses",
            words="Amazon SES",
            backend="anymail.backends.amazon_ses.EmailBackend",
            webhook="anymail.webhooks.amazon_ses.AmazonSESTrackingWebhookView",
            example="ses://ACCESS_KEY:SECRET@eu-central-1",
            settings_of=_ses,
            options=("configuration_set",),
            account_codes=frozenset(
                {
                    "AccountSuspendedException",
                    "SendingPausedException",
                    "MailFromDomainNotVerifiedException",
                    "LimitExceededException",
                    "NotFoundException",
                    "TooManyRequestsException",
                    "ThrottlingException",
                    "Throttling",
                }
            ),
            is_about_mailbox=lambda event: _ses_event(event).get("bounceType") == "Permanent",
            place=lambda event: str(_ses_event(event).get("ipAddress") or ""),
            has_tracking_switch=False,
            needs_domain=True,
            may_be_without_key=True,
        ),
        Provider(
            slug="mailgun",
            words="Mailgun",
            backend="anymail.backends.mailgun.EmailBackend",
            webhook="anymail.webhooks.mailgun.MailgunTrackingWebhookView",
            example="mailgun://API_KEY@mg.example.org",
            settings_of=_mailgun,
            signing="webhook_signing_key",
            options=("region",),
            is_about_mailbox=lambda event: _mailgun_data(event).get("reason") in ("bounce", "suppress-bounce"),
            machine=_mailgun_machine,
            place=lambda event: str(_mailgun_data(event).get("ip") or ""),
            needs_domain=True,
        ),
        Provider(
            slug="postmark",
            words="Postmark",
            backend="anymail.backends.postmark.EmailBackend",
            webhook="anymail.webhooks.postmark.PostmarkTrackingWebhookView",
            example="postmark://SERVER_TOKEN@",
            settings_of=lambda account: (
                _api(account) | {"server_token": account.user, "message_stream": account.options.get("stream")}
            ),
            options=("stream",),
            headers={"X-PM-KeepID": "true"},  # else it puts a Message-ID of its own in place of ours
            account_codes=frozenset({"10", "400", "401", "402", "405", "412", "413"}),
            is_about_mailbox=lambda event: event.get("Type") in ("HardBounce", "BadEmailAddress"),
            place=lambda event: str((event.get("Geo") or {}).get("IP") or ""),
        ),
        Provider(
            slug="sendgrid",
            words="SendGrid",
            backend="anymail.backends.sendgrid.EmailBackend",
            webhook="anymail.webhooks.sendgrid.SendGridTrackingWebhookView",
            example="sendgrid://API_KEY@",
            settings_of=lambda account: _api(account) | {"api_key": account.user},
            signing="tracking_webhook_verification_key",
            is_about_mailbox=lambda event: (
                (event.get("event") == "bounce" and event.get("type") != "blocked")
                or (event.get("event") == "dropped" and str(event.get("reason")) in ("Bounced Address", "Invalid"))
            ),
            machine=lambda event: "proxy" if event.get("sg_machine_open") else "",
            place=lambda event: str(event.get("ip") or ""),
        ),
        Provider(
            slug="brevo",
            words="Brevo",
            backend="anymail.backends.brevo.EmailBackend",
            webhook="anymail.webhooks.brevo.BrevoTrackingWebhookView",
            example="brevo://API_KEY@",
            settings_of=lambda account: _api(account) | {"api_key": account.user},
            is_about_mailbox=lambda event: event.get("event") in ("hard_bounce", "invalid_email"),
            machine=lambda event: "proxy" if "proxy" in str(event.get("event")) else "",
            has_tracking_switch=False,
        ),
    )
}

STATES = {
    "queued": gettext_lazy("taken by the provider"),
    "sent": gettext_lazy("sent on"),
    "delivered": gettext_lazy("delivered"),
    "deferred": gettext_lazy("put off by the reader's server"),
    "bounced": gettext_lazy("came back"),
    "rejected": gettext_lazy("refused by the provider"),
    "failed": gettext_lazy("failed at the provider"),
    "complained": gettext_lazy("complaint"),
    "unsubscribed": gettext_lazy("unsubscribed at the provider"),
    "opened": gettext_lazy("opened"),
    "clicked": gettext_lazy("clicked"),
}


def is_named_by(url: str) -> bool:
    return urlsplit(url).scheme in PROVIDERS


def account_named() -> Account | None:
    """The account of EMAIL_URL, where it names a provider."""
    return Account.from_url(settings.EMAIL_URL) if is_named_by(settings.EMAIL_URL) else None


def webhook_settings(provider: Provider) -> dict[str, Any] | None:
    """What its reader of events is made with; None where no secret is set that could tell its events from forged ones."""
    found: dict[str, Any] = {"webhook_secret": settings.EMAIL_EVENTS_SECRET or []}
    if provider.signing and settings.EMAIL_EVENTS_KEY:
        found[provider.signing] = settings.EMAIL_EVENTS_KEY
    is_safe = bool(settings.EMAIL_EVENTS_SECRET) or provider.signing in found
    if (
        provider.slug == "ses"
    ):  # each message is signed, for a topic of somebody: a name of ours, or a password, says for whom
        found["auto_confirm_sns_subscriptions"] = False  # nurture.providers.amazon does, without any key
        is_safe = is_safe or bool(settings.EMAIL_EVENTS_TOPIC)
    if provider.slug == "mailgun":  # its reader asks for a signature, always
        is_safe = provider.signing in found
    return found if is_safe else None
