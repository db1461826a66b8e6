"""What people and programs do with segments: save, add, remove, archive, duplicate, restore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from leads.actions import audit
from leads.queries_vocabulary import own_definitions
from leads.retry import retrying
from leads.text import clean, fold
from segments import graph, queries
from segments.conditions import Sql, check, leaves, matching, moment, to_document
from segments.models import Segment, SegmentOverride, SegmentVersion

EVERYBODY: dict[str, Any] = {"all": []}
LONGEST_LABEL = 50
RESERVED_SLUGS = frozenset(
    {"new", "personas", "conditions", "bulk", "sizes", "contacts"}
)  # words of the addresses below segments/


class SegmentRefused(Exception):
    """Not done; the text says why in words for people."""


class NeedsConditions(SegmentRefused):
    """A dynamic segment without a condition would hold everybody; that must be chosen by name."""


class InUse(SegmentRefused):
    """Other definitions read the segment."""

    def __init__(self, segment: Segment, users: Sequence[graph.Definition]) -> None:
        self.users = list(users)
        names = ", ".join(f"{user.kind} “{user.label}”" for user in users)
        super().__init__(
            _("“%(name)s” is used by: %(users)s. Change these first.") % {"name": segment.name, "users": names}
        )


class Loop(SegmentRefused):
    """The rule would read itself through others."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = list(keys)
        names = {definition.key: definition.label for definition in graph.definitions()}
        words = " → ".join(names.get(key, key) for key in keys)
        super().__init__(_("This rule would go in a circle: %(loop)s.") % {"loop": words})


@dataclass
class SavedMeanwhile(SegmentRefused):
    """Somebody else saved first. `theirs` is the segment as it stands now."""

    theirs: Segment

    def __str__(self) -> str:
        return _("Somebody else saved this segment while you were editing it.")


def refuse_rule(
    segment: Segment | None, *, slug: str, mode: str, conditions: Any, everybody: bool
) -> dict[str, Any] | None:
    """The document as it will be stored, or the refusal: BadConditions, NeedsConditions, Loop. Fixed segments have none."""
    if mode == Segment.Mode.FIXED:
        return None
    tree = None if conditions is None else check(conditions)
    if tree is None or not any(leaves(tree)):  # groups within groups, but no condition in any of them
        if not everybody:
            raise NeedsConditions(
                _("Without a condition everybody would be in. Add one, or choose “everybody” by name.")
            )
        return dict(EVERYBODY)
    loop = graph.would_loop(f"segment:{slug}", tree)
    if loop:
        raise Loop(loop)
    document: dict[str, Any] = to_document(tree)
    return document


def save_segment(
    segment: Segment | None,
    *,
    name: str,
    conditions: Any,
    actor: User | None,
    now: datetime,
    slug: str = "",
    mode: str = Segment.Mode.DYNAMIC,
    notes: str = "",
    folder: str = "",
    labels: Sequence[str] | None = None,
    owner: User | None = None,
    version: int | None = None,
    reason: str = "",
    everybody: bool = False,
    joining: int | None = None,
    leaving: int | None = None,
) -> Segment:
    """Make or change a segment; each save is a version. A changed rule leaves the mark for the turn (stale_since).

    `version` is what the editor started from: SavedMeanwhile if somebody saved since. The mode never changes. Labels are left as they
    are without any given. A rule that stays the same is not checked again, so that a name can change while the rule is broken.
    Refused: BadConditions, NeedsConditions, Loop. `joining` and `leaving` are what the person was told before saving.
    """
    with transaction.atomic():
        own_definitions()
        if segment is None:
            stored = Segment(slug=free_slug(slug or name), mode=mode, created_at=now, version=0)
        else:
            stored = Segment.objects.select_for_update(no_key=True).get(pk=segment.pk)
            if version is not None and stored.version != version:
                raise SavedMeanwhile(stored)
        document = conditions
        if segment is None or conditions != stored.conditions:
            document = refuse_rule(
                stored, slug=stored.slug, mode=stored.mode, conditions=conditions, everybody=everybody
            )
        wanted = {
            "name": name,
            "notes": notes,
            "folder": folder.strip(),
            "labels": stored.labels if labels is None else clean_labels(labels),
            "owner_id": owner.pk if owner else None,
            "conditions": document,
        }
        if segment is not None and all(getattr(stored, field) == value for field, value in wanted.items()):
            return stored
        is_new_rule = segment is None or stored.conditions != document
        for field, value in wanted.items():
            setattr(stored, field, value)
        stored.version += 1
        stored.updated_at = now
        if is_new_rule:
            stored.stale_since, stored.problem = now, ""
        stored.save()
        SegmentVersion.objects.create(
            segment=stored,
            number=stored.version,
            conditions=document,
            saved_by=actor,
            saved_at=now,
            reason=reason,
            joining=joining,
            leaving=leaving,
        )
        audit(
            actor,
            "created" if segment is None else "edited",
            stored,
            {"version": stored.version, "reason": reason},
            now=now,
        )
    return stored


def clean_labels(labels: Sequence[str]) -> list[str]:
    """Trimmed, by name, each once whatever its case; the first spelling stays."""
    found: dict[str, str] = {}
    for label in labels:
        name = clean(label)[:LONGEST_LABEL].strip()
        if name:
            found.setdefault(fold(name), name)
    return sorted(found.values(), key=fold)


def change_words(
    segments: Sequence[Segment],
    *,
    actor: User | None,
    now: datetime,
    reason: str,
    folder: str | None = None,
    add_labels: Sequence[str] = (),
    remove_labels: Sequence[str] = (),
    owner: User | None = None,
) -> int:
    """Move, label or hand over many segments at once; how many changed. Each becomes a version, since others may be editing it."""
    changed = 0
    gone = {fold(clean(label)) for label in remove_labels}
    with transaction.atomic():
        for segment in sorted(segments, key=lambda one: one.pk):
            labels = [label for label in segment.labels if fold(label) not in gone]
            saved = save_segment(
                segment,
                name=segment.name,
                conditions=segment.conditions,
                actor=actor,
                now=now,
                notes=segment.notes,
                folder=segment.folder if folder is None else folder,
                labels=[*labels, *add_labels],
                owner=owner or segment.owner,
                reason=reason,
                everybody=True,
            )
            changed += saved.version != segment.version
    return changed


def restore_version(segment: Segment, *, number: int, actor: User, now: datetime) -> Segment:
    """Save the rule of an earlier version again, as a new one."""
    earlier = SegmentVersion.objects.get(segment=segment, number=number)
    return save_segment(
        segment,
        name=segment.name,
        conditions=earlier.conditions,
        actor=actor,
        now=now,
        notes=segment.notes,
        folder=segment.folder,
        owner=segment.owner,
        version=segment.version,
        reason=_("Version %(number)s restored") % {"number": number},
        everybody=earlier.conditions == EVERYBODY,
    )


def add_to_segment(
    segment: Segment,
    *,
    contact_ids: Sequence[int],
    cause: str,
    actor: User | None,
    now: datetime,
    reason: str = "",
) -> int:
    """Put contacts in, whatever the rule says, until taken out; how many joined. Three statements, the segment's row is locked."""

    def add() -> int:
        with transaction.atomic():
            _own(segment)
            _override(segment, SegmentOverride.Verdict.ADDED, contact_ids, cause, actor, now, reason)
            return queries.write_members(
                segment.pk, _nobody_matches(contact_ids), why=cause, now=now, mark=True, tell=False
            ).joined

    return retrying(add)


def remove_from_segment(
    segment: Segment,
    *,
    contact_ids: Sequence[int],
    cause: str,
    actor: User | None,
    now: datetime,
    reason: str = "",
) -> int:
    """Take contacts out, whatever the rule says; how many left. A fixed segment only forgets that they were added."""

    def remove() -> int:
        with transaction.atomic():
            _own(segment)
            if segment.mode == Segment.Mode.FIXED:
                queries.forget_overrides(segment.pk, contact_ids)
            else:
                _override(segment, SegmentOverride.Verdict.REMOVED, contact_ids, cause, actor, now, reason)
            return queries.write_members(
                segment.pk, _nobody_matches(contact_ids), why=cause, now=now, mark=True, tell=False
            ).left

    return retrying(remove)


def leave_to_rule(segment: Segment, *, contact_ids: Sequence[int], now: datetime) -> int:
    """Take back what was decided by hand; the rule decides again, at once. How many joined or left."""

    def leave() -> int:
        with transaction.atomic():
            version = _own(segment)
            queries.forget_overrides(segment.pk, contact_ids)
            stored = Segment.objects.get(pk=segment.pk)
            rule = queries.NOBODY
            if stored.mode == Segment.Mode.DYNAMIC and stored.conditions is not None:
                rule = matching(check(stored.conditions), moment(now), contacts=list(contact_ids), stored=True)
            difference = queries.read_difference(queries.difference_among(segment.pk, rule, contact_ids))
            if not difference:
                return 0
            rows = queries.rows_of(difference)
            changed = queries.write_members(segment.pk, rows, why=f"rule:{version}", now=now, mark=True, tell=False)
            return changed.joined + changed.left

    return retrying(leave)


def archive_segment(segment: Segment, *, actor: User | None, now: datetime) -> None:
    """Out of use: no longer kept up to date, not offered any more; members stay as they are. InUse while something reads it."""
    with transaction.atomic():
        own_definitions()
        refuse_in_use(segment)
        Segment.objects.filter(pk=segment.pk, archived_at=None).update(archived_at=now, updated_at=now)
        audit(actor, "archived", segment, {}, now=now)


def unarchive_segment(segment: Segment, *, actor: User | None, now: datetime) -> None:
    """Back in use; the next turn looks at everybody."""
    with transaction.atomic():
        own_definitions()
        loop = graph.would_loop(segment.key, segment.conditions)
        if loop:
            raise Loop(loop)
        Segment.objects.filter(pk=segment.pk).update(archived_at=None, stale_since=now, problem="", updated_at=now)
        audit(actor, "unarchived", segment, {}, now=now)


def delete_segment(segment: Segment, *, actor: User | None, now: datetime) -> None:
    """Gone with its whole history. InUse while something reads it, or a program was ever triggered by it."""
    with transaction.atomic():
        own_definitions()
        refuse_in_use(segment)
        audit(actor, "deleted", segment, {"conditions": segment.conditions, "members": segment.member_count}, now=now)
        try:
            segment.delete()
        except ProtectedError as error:
            raise SegmentRefused(
                _("A program was started by “%(name)s”; archive it instead, so that the program keeps its history.")
                % {"name": segment.name}
            ) from error


def duplicate_segment(segment: Segment, *, name: str, as_fixed: bool, actor: User | None, now: datetime) -> Segment:
    """A copy of the rule, or a fixed list of the people who are in it now."""
    with transaction.atomic():
        copy = save_segment(
            None,
            name=name,
            conditions=None if as_fixed else segment.conditions,
            mode=Segment.Mode.FIXED if as_fixed else segment.mode,
            notes=segment.notes,
            folder=segment.folder,
            labels=segment.labels,
            owner=actor,
            actor=actor,
            now=now,
            reason=_("Copy of “%(name)s”") % {"name": segment.name},
            everybody=segment.conditions == EVERYBODY,
        )
        if copy.mode == Segment.Mode.FIXED:
            # the turn opens the memberships from these in chunks, since there may be a million
            queries.copy_members_as_added(
                segment.pk, copy.pk, cause="by_hand", actor_id=actor.pk if actor else None, now=now
            )
    return copy


def refuse_in_use(segment: Segment) -> None:
    users = graph.used_by(segment.key)
    if users:
        raise InUse(segment, users)


def free_slug(name: str) -> str:
    """A slug of the name that nobody has yet."""
    stem = slugify(name)[:90] or "segment"
    taken = RESERVED_SLUGS | set(Segment.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    return next(
        slug for slug in (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))) if slug not in taken
    )


def _own(segment: Segment) -> int:
    version = queries.lock_segment(segment.pk)
    if version is None:
        raise SegmentRefused(_("“%(name)s” is archived.") % {"name": segment.name})
    return version


def _override(
    segment: Segment,
    verdict: str,
    contact_ids: Sequence[int],
    cause: str,
    actor: User | None,
    now: datetime,
    reason: str,
) -> None:
    queries.store_overrides(
        segment.pk,
        contact_ids,
        verdict=verdict,
        cause=cause,
        actor_id=actor.pk if actor else None,
        now=now,
        reason=reason,
    )


def _nobody_matches(contact_ids: Sequence[int]) -> Sql:
    """Rows in which only what was decided by hand counts."""
    return queries.rows_of([(contact_id, False) for contact_id in contact_ids])
