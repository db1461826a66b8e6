"""What changes in templates beyond their own form: blocks shown by condition, and mails that a mended template may write after all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from leads.actions import audit
from nurture.actions import EditedMeanwhile, NurtureRefused
from nurture.mailing.sending import UNWRITTEN
from nurture.models import Sending, Stationery, Template, TemplateVersion
from nurture.templating import blocks, history, proofreading, translations
from nurture.templating.rendering import BadTemplate, compiled

KEPT_DAYS = 30  # how long a mail that could not be written may be asked for again; after that its moment is over


def set_block(
    template: Template, *, key: str, conditions: dict[str, Any], version: int, actor: User | None, now: datetime
) -> Template:
    """A new block, or another condition for one that is there. Raises NurtureRefused."""
    with transaction.atomic():
        row = _mine(template, version)
        others = [block for block in row.blocks if block["key"] != key]
        try:
            row.blocks = sorted(blocks.check([*others, {"key": key, "conditions": conditions}]), key=_key)
        except ValueError as error:
            raise NurtureRefused(str(error)) from error
        return _saved(row, "changed the block of", {"block": key}, actor, now)


def remove_block(template: Template, *, key: str, version: int, actor: User | None, now: datetime) -> Template:
    """Refused while the words name it."""
    with transaction.atomic():
        row = _mine(template, version)
        if any(key in compiled(row, language).blocks for language in ["", *translations.tags(row)]):
            raise NurtureRefused(
                _("The words of the mail name the block “%(key)s”: take it out there first.") % {"key": key}
            )
        row.blocks = [block for block in row.blocks if block["key"] != key]
        return _saved(row, "removed the block of", {"block": key}, actor, now)


# --- Other languages ------------------------------------------------------------------------------------------------------


def set_translation(
    template: Template,
    *,
    language: str,
    subject: str,
    preheader: str,
    body: str,
    text: str | None,
    version: int,
    actor: User | None,
    now: datetime,
) -> Template:
    """The same mail in another language, new or changed; no `text`: it is made from the body. Raises NurtureRefused."""
    with transaction.atomic():
        row = _mine(template, version)
        if language == row.language:
            raise NurtureRefused(_("That is the template's own language."))
        others = [one for one in row.translations if one["language"] != language]
        fresh = {"language": language, "subject": subject, "preheader": preheader, "body": body, "text": text}
        fresh["of"] = translations.print_of(row)  # whoever saves it has looked
        try:
            row.translations = translations.check([*others, fresh])
        except ValueError as error:
            raise NurtureRefused(str(error)) from error
        return _saved(row, "translated", {"language": language}, actor, now)


def remove_translation(
    template: Template, *, language: str, version: int, actor: User | None, now: datetime
) -> Template:
    """Its readers get the next one of their chain from then on."""
    with transaction.atomic():
        row = _mine(template, version)
        row.translations = [one for one in row.translations if one["language"] != language]
        return _saved(row, "removed a translation of", {"language": language}, actor, now)


def _key(block: dict[str, Any]) -> str:
    return str(block["key"])


def _mine(template: Template, version: int) -> Template:
    row = Template.objects.select_for_update(no_key=True).get(pk=template.pk)
    if row.version != version:
        raise EditedMeanwhile
    history.keep_before(row)
    return row


def restore(
    template: Template, *, version: TemplateVersion, opened: int, actor: User | None, now: datetime
) -> Template:
    """The words of a version again, as a new version: nothing is lost. Raises NurtureRefused where they cannot become a mail any more."""
    with transaction.atomic():
        row = _mine(template, opened)
        words = dict(version.words)
        layout = Stationery.objects.filter(slug=words.pop("layout")).first()
        text = words.pop("text")
        row.has_own_text, row.text, row.layout = text is not None, text or "", layout
        for part, value in words.items():
            setattr(row, part, value)
        _refuse_broken(row)
        return _saved(
            row, "restored", {"from": version.number}, actor, now, _("back to version %(n)d") % {"n": version.number}
        )


def _refuse_broken(row: Template) -> None:
    """What a version names may be gone since."""
    try:
        row.blocks = blocks.check(row.blocks)
        for language in ["", *translations.tags(row)]:
            compiled(row, language)
    except (ValueError, BadTemplate) as error:
        raise NurtureRefused(_("It cannot come back as it was: %(why)s") % {"why": error}) from error


def _saved(
    row: Template, verb: str, detail: dict[str, Any], actor: User | None, now: datetime, reason: str = ""
) -> Template:
    row.version += 1
    row.findings = proofreading.document(row)
    row.updated_at = now
    row.save()
    history.keep(row, actor=actor, now=now, reason=reason)
    audit(actor, verb, row, detail | {"version": row.version}, now)
    return row


# --- Mails that could not be written --------------------------------------------------------------------------------------


def unwritten(template: Template, *, now: datetime) -> QuerySet[Sending]:
    """Mails of the last weeks that stayed unsent because the template failed for their reader."""
    return Sending.objects.filter(
        state=Sending.State.NOT_SENT,
        queued_at__gt=now - timedelta(days=KEPT_DAYS),
        template=template,
        why_not__startswith=UNWRITTEN,
    )


def write_again(template: Template, *, actor: User | None, now: datetime) -> int:
    """Queue them once more: consent, suppression and limits are looked at as for any mail. One statement."""
    with transaction.atomic():
        number = unwritten(template, now=now).update(state=Sending.State.QUEUED, due_at=now, why_not="")
        if number:
            audit(actor, "wrote again", template, {"mails": number}, now)
    return number
