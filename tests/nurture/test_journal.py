"""The notes of a run that sends: what the next one makes of them, and what it does not believe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError

from nurture.mailing import journal, queries_sending, sending
from nurture.mailing.smtp import Answer, Verdict
from nurture.models import Sending
from tests.makers import NOW
from tests.nurture.makers import make_people, make_template, set_workspace
from tests.nurture.sink import Sink, sink

LEASE = NOW + sending.LEASE


def dead_run(folder: Path) -> journal.Journal:
    """Claimed four, sent the first, was refused the second, died at the third."""
    notes = journal.Journal(folder)
    notes.claims([1, 2, 3, 4], LEASE)
    notes.offers(1)
    notes.answered(1, Answer(Verdict.SENT))
    notes.offers(2)
    notes.answered(2, Answer(Verdict.TEMPORARY, "451 later – später"))
    notes.offers(3)
    notes.close(keep=True)
    return notes


def test_what_a_dead_run_said_is_known(tmp_path: Path) -> None:
    dead_run(tmp_path)
    assert list(journal.left_behind(tmp_path)) == [
        [
            journal.Slice(
                LEASE,
                {
                    1: Answer(Verdict.SENT),
                    2: Answer(Verdict.TEMPORARY, "451 later – später"),
                    3: Answer(Verdict.UNCERTAIN),
                    4: Answer(Verdict.NOT_TRIED),
                },
            )
        ]
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_mail_that_was_claimed_again_belongs_to_its_later_slice(tmp_path: Path) -> None:
    notes = journal.Journal(tmp_path)
    notes.claims([1], NOW)
    notes.claims([1], LEASE)
    notes.offers(1)
    notes.close(keep=True)
    assert list(journal.left_behind(tmp_path)) == [
        [journal.Slice(NOW, {1: Answer(Verdict.NOT_TRIED)}), journal.Slice(LEASE, {1: Answer(Verdict.UNCERTAIN)})]
    ]


def test_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    with journal.kept(tmp_path) as notes:
        notes.claims([1], LEASE)
        assert list(journal.left_behind(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "spoiled", [b"\x00\xff\n", b'{"offers": 9}\n', b'{"claims": 3, "lease_until": "soon"}\n', b"[1]\n", b"7\n"]
)
def test_what_cannot_be_read_is_not_believed(spoiled: bytes, tmp_path: Path) -> None:
    dead_run(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + spoiled)
    assert list(journal.left_behind(tmp_path)) == [[]]
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_its_beginning_is_not_believed(tmp_path: Path) -> None:
    dead_run(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes().partition(b"\n")[2])
    assert list(journal.left_behind(tmp_path)) == [[]]


def test_a_note_that_was_cut_off_says_nothing(tmp_path: Path) -> None:
    dead_run(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b'{"answered": 3, "verd')
    ((one,),) = journal.left_behind(tmp_path)
    assert one.answers[3] == Answer(Verdict.UNCERTAIN)


def test_after_a_new_start_of_the_machine_nothing_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may have lost notes with its power: a mail that seems not offered may be out."""
    dead_run(tmp_path)
    boot = tmp_path / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(journal, "BOOT", boot)
    assert list(journal.left_behind(tmp_path)) == [[]]


# --- With mails ------------------------------------------------------------------------------------------------------------------


def queue_mails(number: int) -> None:
    template = make_template()
    for person in make_people(number):
        Sending.objects.create(
            key=f"mail:{person.pk}",
            contact=person,
            template=template,
            address=str(person.email),
            queued_at=NOW,
            due_at=NOW,
        )


@pytest.fixture
def smtp() -> Iterator[Sink]:
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    with sink() as found:
        yield found


@pytest.mark.django_db
def test_a_folder_that_cannot_be_written_costs_no_mail(smtp: Sink, settings: object, tmp_path: Path) -> None:
    settings.RIPEN_HOME = tmp_path / "no-folder"  # type: ignore[attr-defined]
    (tmp_path / "no-folder").write_text("")
    queue_mails(3)
    assert sending.send_due(NOW, server=smtp.server).sent == 3
    assert len(smtp.received) == 3


@pytest.mark.django_db
def test_a_run_whose_database_went_away_is_taken_up(smtp: Sink, settings: object, tmp_path: Path) -> None:
    settings.RIPEN_HOME = tmp_path  # type: ignore[attr-defined]
    queue_mails(3)
    with pytest.MonkeyPatch.context() as patch:

        def gone(*_arguments: object, **_more: object) -> None:
            raise OperationalError("the connection is lost")

        patch.setattr(queries_sending, "set_sent", gone)
        with pytest.raises(OperationalError):
            sending.send_due(NOW, server=smtp.server)
    assert set(Sending.objects.values_list("state", flat=True)) == {"sending"}
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.uncertain, len(smtp.received)) == (3, 0, 3)
    assert list((tmp_path / sending.JOURNALS).iterdir()) == []
