"""What can be done to the chosen contacts of the list: the facts' own actions, and those that higher rooms registered."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import actions, panels
from leads.lists import NOBODY, owner_choices
from leads.models import Owner
from leads.panels import BulkAction


def _owner(value: str) -> Owner | None:
    if value == NOBODY:
        return None
    owner = Owner.objects.filter(pk=int(value)).first() if value.isascii() and value.isdigit() else None
    if owner is None:
        raise actions.Refused(_("Choose an owner."))
    return owner


def _merge_page(contact_ids: Sequence[int]) -> str:
    if len(contact_ids) != 2:
        raise actions.Refused(_("Choose exactly two people to merge."))
    kept, gone = contact_ids
    return f"{reverse('leads:contact-merge', args=[kept])}?{urlencode({'with': gone})}"


BUILT_IN = (
    BulkAction(
        "add_tag",
        gettext_lazy("Add a tag"),
        "tag",
        "edit_contacts",
        lambda contact_ids, value, user, now: actions.add_tag(contact_ids, tag=value, now=now),
        order=10,
    ),
    BulkAction(
        "remove_tag",
        gettext_lazy("Remove a tag"),
        "tag-off",
        "edit_contacts",
        lambda contact_ids, value, user, now: actions.remove_tag(contact_ids, tag=value, now=now),
        order=20,
    ),
    BulkAction(
        "set_owner",
        gettext_lazy("Set the owner"),
        "user-check",
        "edit_contacts",
        lambda contact_ids, value, user, now: actions.set_owner(contact_ids, owner=_owner(value), now=now),
        # nobody comes last: whoever only clicks must not take owners away
        choices=lambda: sorted(owner_choices(), key=lambda choice: choice[0] == NOBODY),
        order=30,
    ),
    BulkAction("merge", gettext_lazy("Merge two people"), "arrows-join-2", "import", None, order=90, page=_merge_page),
)


def bulk_actions() -> list[BulkAction]:
    return sorted([*BUILT_IN, *panels.bulk_actions()], key=lambda action: (action.order, action.key))
