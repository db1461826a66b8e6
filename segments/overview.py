"""The list of segments as hundreds of them need it: narrowed, sorted, in folders that open and close, with their size over a month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.text import fold
from segments import graph, pages, queries_pages
from segments.models import Segment

MOST_LISTED = 500
OPEN_UP_TO = 60  # segments: beyond, folders start closed
SPARK_DAYS = 30
NO_FOLDER = "-"

SORTS = {
    "folder": (gettext_lazy("By folder"), ("folder", "name")),
    "name": (gettext_lazy("By name"), ("name",)),
    "largest": (gettext_lazy("Largest first"), ("-member_count", "name")),
    "smallest": (gettext_lazy("Smallest first"), ("member_count", "name")),
    "changed": (gettext_lazy("Last changed first"), ("-updated_at", "name")),
}
STATES = {
    "problem": gettext_lazy("With a problem"),
    "waiting": gettext_lazy("Being worked out"),
    "empty": gettext_lazy("Without members"),
    "unused": gettext_lazy("Used by nothing"),
}


@dataclass(frozen=True)
class Question:
    """What the address of the list asks for; whatever it does not know it leaves out."""

    text: str = ""
    folder: str = ""
    label: str = ""
    mode: str = ""
    owner: str = ""
    state: str = ""
    sort: str = "folder"
    is_archive: bool = False

    @property
    def is_filtered(self) -> bool:
        return bool(self.text or self.folder or self.label or self.mode or self.owner or self.state)


def question_of(asked: QueryDict) -> Question:
    text, folder, label, mode, owner, state, sort = (
        asked.get(key, "").strip()[:200] for key in ("q", "folder", "label", "mode", "owner", "state", "sort")
    )
    return Question(
        text=text,
        folder=folder,
        label=label,
        mode=mode if mode in Segment.Mode.values else "",
        owner=owner if owner.isascii() and owner.isdigit() and len(owner) < 10 else "",
        state=state if state in STATES else "",
        sort=sort if sort in SORTS else "folder",
        is_archive=asked.get("archived") == "yes",
    )


@dataclass(frozen=True)
class Row:
    segment: Segment
    sentence: str
    users: Sequence[graph.Definition]


@dataclass
class Folder:
    """Segments under one name; the whole list is one folder without a name when it is sorted in another way. Closed ones have no rows yet."""

    name: str
    number: int = 0
    rows: list[Row] = field(default_factory=list)

    @property
    def ids(self) -> str:
        return ",".join(str(row.segment.pk) for row in self.rows)

    @property
    def asked(self) -> str:
        """The filter that gives its rows."""
        return self.name or NO_FOLDER


@dataclass(frozen=True)
class Overview:
    folders: list[Folder]
    number: int
    has_more: bool
    is_open: bool


def overview(question: Question, offered: Choices | None = None) -> Overview:
    """Everything in rows, or, of hundreds of segments in folders, only how many each folder holds: its rows come when it is opened.

    Without what the filters offer nothing is closed. One statement, and one per kind of definition where there are rows, whatever
    the number of segments.
    """
    if offered is not None and question.sort == "folder" and not question.is_filtered:
        counts = offered.archived_folders if question.is_archive else offered.folders_in_use
        if len(counts) > 1 and counts.total() > OPEN_UP_TO:
            folders = [Folder(name, number) for name, number in counts.items()]
            return Overview(_in_order(folders), counts.total(), has_more=False, is_open=False)
    known = graph.definitions()
    users = graph.users_of(known)
    segments = _found(question)
    if question.state == "unused":
        segments = segments.exclude(slug__in=[key.partition(":")[2] for key in users if key.startswith("segment:")])
    found = list(segments.select_related("owner").order_by(*SORTS[question.sort][1])[: MOST_LISTED + 1])
    catalogue = pages.catalogue_with(known)
    filled: dict[str, Folder] = {}
    for segment in found[:MOST_LISTED]:
        name = segment.folder if question.sort == "folder" else ""
        row = Row(segment, pages.in_words(segment.conditions, catalogue), users.get(segment.key, []))
        folder = filled.setdefault(name, Folder(name))
        folder.rows.append(row)
        folder.number += 1
    number = min(len(found), MOST_LISTED)
    return Overview(_in_order(list(filled.values())), number, has_more=len(found) > MOST_LISTED, is_open=True)


def _in_order(folders: list[Folder]) -> list[Folder]:
    """By name; what lies in no folder last."""
    return sorted(folders, key=lambda one: (not one.name, fold(one.name)))


def _found(question: Question) -> QuerySet[Segment]:
    segments: QuerySet[Segment] = Segment.objects.in_use()
    if question.is_archive:
        segments = Segment.objects.exclude(archived_at=None)
    for word in question.text.split():
        segments = segments.filter(
            Q(name__icontains=word) | Q(notes__icontains=word) | Q(slug__icontains=word) | Q(folder__icontains=word)
        )
    if question.folder:
        segments = segments.filter(folder="" if question.folder == NO_FOLDER else question.folder)
    if question.label:
        segments = segments.filter(labels__contains=[question.label])
    if question.mode:
        segments = segments.filter(mode=question.mode)
    if question.owner:
        segments = segments.filter(owner_id=int(question.owner))
    if question.state == "problem":
        segments = segments.exclude(problem="")
    elif question.state == "waiting":
        segments = segments.exclude(stale_since=None)
    elif question.state == "empty":
        segments = segments.filter(member_count=0)
    return segments


@dataclass(frozen=True)
class Choices:
    """What the filters of the list offer."""

    folders: list[str]
    labels: list[str]
    owners: list[tuple[int, str]]
    folders_in_use: Counter[str]
    archived_folders: Counter[str]

    @property
    def archived_count(self) -> int:
        return self.archived_folders.total()


def choices() -> Choices:
    """Two statements over the segments. Folders are counted as well."""
    rows = Segment.objects.values_list("folder", "labels", "owner_id", "archived_at")
    labels: set[str] = set()
    owners: set[int] = set()
    in_use: Counter[str] = Counter()
    archived: Counter[str] = Counter()
    for folder, of_segment, owner_id, archived_at in rows:
        (in_use if archived_at is None else archived)[folder] += 1
        labels.update(of_segment)
        if owner_id is not None:
            owners.add(owner_id)
    people = User.objects.filter(pk__in=owners)
    return Choices(
        sorted((in_use | archived).keys() - {""}, key=fold),
        sorted(labels, key=fold),
        sorted(
            ((person.pk, person.get_full_name() or person.get_username()) for person in people), key=lambda one: one[1]
        ),
        in_use,
        archived,
    )


# --- sizes as small lines -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spark:
    """A size over a month as points of a drawing 100 wide and 24 high, and in words."""

    segment_id: int
    points: str
    words: str


def sparks(member_counts: Mapping[int, int], *, today: date, zone: ZoneInfo) -> list[Spark]:
    """One statement for all of them."""
    sizes = queries_pages.sizes_by_day(dict(member_counts), days=SPARK_DAYS, today=today, zone=zone)
    return [_spark(segment_id, [size for _day, size, _joined, _left in rows]) for segment_id, rows in sizes.items()]


def _spark(segment_id: int, sizes: Sequence[int]) -> Spark:
    low, high = min(sizes), max(sizes)
    step = 96 / (len(sizes) - 1)
    heights = [12.0 if high == low else 22 - 20 * (size - low) / (high - low) for size in sizes]
    points = " ".join(f"{2 + place * step:.1f},{height:.1f}" for place, height in enumerate(heights))
    words = _("%(days)s days ago %(before)s, now %(now)s") % {
        "days": SPARK_DAYS, "before": f"{sizes[0]:,}", "now": f"{sizes[-1]:,}",
    }  # fmt: skip
    return Spark(segment_id, points, words)
