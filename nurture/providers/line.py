"""One way to a provider's interface. Every delivery gives an answer; none raises."""

from __future__ import annotations

import email
import time
import warnings
from contextlib import suppress
from email import policy
from typing import Any

from anymail.exceptions import AnymailNotSupportedWarning
from django.core.mail import EmailMultiAlternatives
from django.utils.module_loading import import_string

from nurture.mailing.message import Message
from nurture.mailing.smtp import Answer, Verdict
from nurture.providers.accounts import Account
from nurture.providers.answers import answer_to

REST_SECONDS = 15.0  # after an answer that leaves a mail uncertain: a provider in trouble must not make thousands so
_OWN_FIELDS = frozenset({"From", "To", "Subject", "Reply-To", "Date"})  # not headers to a provider, or its own


class Letter(EmailMultiAlternatives):
    """What the library makes its call of. Where it wants the whole mail it gets our bytes, not a copy of its own."""

    track_opens: bool
    track_clicks: bool
    metadata: dict[str, str]

    def __init__(self, ours: Message, **values: Any) -> None:
        super().__init__(**values)
        self.ours = ours

    def message(self, *, policy: Any = None) -> Any:
        return email.message_from_bytes(self.ours.data, policy=_AS_IT_IS)


_AS_IT_IS = policy.compat32.clone(linesep="\r\n", max_line_length=0, mangle_from_=False)


class ApiLine:
    """One connection to the provider, opened at the first mail and kept for those that follow."""

    def __init__(self, account: Account) -> None:
        self.account = account
        with warnings.catch_warnings():  # SendGrid's is kept, but its makers no longer have an account to test it with
            warnings.simplefilter("ignore", AnymailNotSupportedWarning)
            self._backend = import_string(account.provider.backend)(**account.provider.settings_of(account))
        self._rests_until = 0.0
        self._why = ""

    def deliver(self, message: Message) -> Answer:
        """What became of one mail. After one that is uncertain none is offered for a while."""
        if time.monotonic() < self._rests_until:
            return Answer(Verdict.SERVER_DOWN, self._why)
        try:
            self._backend.open()  # does nothing where it is open
            self._backend.send_messages([letter_of(message, self.account)])
        except Exception as error:
            self.close()
            answer = answer_to(error, self.account.provider)
            if answer.verdict is Verdict.UNCERTAIN:
                self._rests_until, self._why = time.monotonic() + REST_SECONDS, answer.words
            return answer
        return Answer(Verdict.SENT)

    def close(self) -> None:
        with suppress(Exception):
            self._backend.close()


def letter_of(message: Message, account: Account) -> Letter:
    """Our mail in the library's words: the same subject, bodies and headers, and the sending's token for the events to name."""
    fields = dict(message.headers)
    bodies = {part.get_content_type(): part for part in email.message_from_bytes(message.data).walk()}
    extra = {name: value for name, value in message.headers if name not in _OWN_FIELDS}
    letter = Letter(
        message,
        subject=fields["Subject"],
        body=_text(bodies["text/plain"]),
        from_email=fields["From"],
        to=[fields["To"]],
        reply_to=[fields["Reply-To"]] if "Reply-To" in fields else None,
        headers=extra | dict(account.provider.headers or {}),
    )
    letter.attach_alternative(_text(bodies["text/html"]), "text/html")
    letter.metadata = {"sending": message.message_id.strip("<>").partition("@")[0]}
    if account.provider.has_tracking_switch:
        letter.track_opens = letter.track_clicks = account.is_tracking and message.is_tracked
    return letter


def _text(part: Any) -> str:
    return str(part.get_payload(decode=True).decode().replace("\r\n", "\n"))
