"""Two people change what rules are made of at the same moment: the second waits for the first, then meets what it stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from leads import vocabulary
from leads.models import CustomField
from segments.actions import InUse, Loop, delete_segment, save_segment
from segments.conditions import BadConditions
from segments.models import Segment
from segments.renaming import rename_segment
from tests.makers import NOW, make_segment, make_user

Verb = Callable[[], object]


def meets(first: Verb, second: Verb) -> Exception | None:
    """What becomes of the second, begun while the first is done but not committed."""
    raised: list[Exception] = []

    def other() -> None:
        try:
            second()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        first()
        thread.start()
        while thread.is_alive() and not _somebody_waits():
            time.sleep(0.01)
        assert thread.is_alive(), "the second did not wait"
    thread.join()
    return raised[0] if raised else None


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
            " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted)"
        )
        return bool(cursor.fetchone()[0])


def save(segment: Segment, conditions: Any) -> Verb:
    return lambda: save_segment(segment, name=segment.name, conditions=conditions, actor=None, now=NOW)


@pytest.mark.django_db(transaction=True)
def test_the_second_meets_what_the_first_stored() -> None:
    user = make_user()
    plan = CustomField.objects.create(of="contact", key="plan", label="Plan", type="text")
    is_pro = {"field": "contact.custom.plan", "op": "is", "value": "pro"}
    a, b, gone, renamed = (make_segment({"field": "contact.city", "op": "is", "value": "Ulm"}) for _each in range(4))

    def to_number() -> None:
        vocabulary.change_custom_field(plan, label="Plan", type="number", choices=[], help="", actor=None, now=NOW)

    assert isinstance(meets(save(a, {"in_segment": b.slug}), save(b, {"in_segment": a.slug})), Loop)
    assert isinstance(meets(save(b, is_pro), to_number), vocabulary.InUse)
    assert isinstance(
        meets(save(b, {"in_segment": gone.slug}), lambda: delete_segment(gone, actor=user, now=NOW)), InUse
    )
    save(b, {"field": "contact.city", "op": "is", "value": "Bonn"})()
    assert isinstance(meets(to_number, save(b, is_pro)), BadConditions)
    assert isinstance(
        meets(lambda: delete_segment(gone, actor=user, now=NOW), save(b, {"in_segment": gone.slug})), BadConditions
    )
    old = renamed.slug
    assert isinstance(
        meets(lambda: rename_segment(renamed, slug="fresh", actor=user, now=NOW), save(b, {"in_segment": old})),
        BadConditions,
    )
    assert meets(save(a, {"in_segment": "fresh"}), save(b, {"in_segment": "fresh"})) is None
