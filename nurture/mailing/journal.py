"""What a worker says to the mail server, noted beside the database: when it dies suddenly, the one mail in its mouth is uncertain.

Each run keeps a file, locked while it lives. It names the mails it claims before the claim is committed, each mail before it is offered,
and each answer. Whoever finds a file that nobody locks takes the run up: what was answered is recorded, what was never offered goes back
into the queue. Notes reach the kernel, not the disk; they outlive a killed process but no power failure, so a file is believed only
while the machine has not started anew since. Where there is none, as after the loss of a machine, all claimed mails are uncertain.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from nurture.mailing.smtp import Answer, Verdict

log = logging.getLogger(__name__)

BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Slice:
    """Mails that a dead run may have claimed, by their lease, with what is known of each."""

    lease_until: datetime
    answers: dict[int, Answer] = field(default_factory=dict)


class Journal:
    """The notes of one run. A disk that takes none costs the notes, never the mails: the file goes, and leases decide as without it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{uuid.uuid4().hex}.journal"
        self._file = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            being_made = self._path.with_suffix(".new")
            self._file = os.open(being_made, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            being_made.rename(self._path)  # seen by others only once it is locked
            self._note({"boot": BOOT.read_text().strip()})
        except OSError as error:
            self._give_up(error)

    def claims(self, sending_ids: list[int], lease_until: datetime) -> None:
        """Before the claim is committed."""
        self._note({"claims": sending_ids, "lease_until": lease_until.isoformat()})

    def offers(self, sending_id: int) -> None:
        """Before the server hears of it."""
        self._note({"offers": sending_id})

    def answered(self, sending_id: int, answer: Answer) -> None:
        self._note({"answered": sending_id, "verdict": answer.verdict.value, "words": answer.words})

    def close(self, *, keep: bool = False) -> None:
        """Everything is recorded and nobody needs the notes any more; or the next run takes it up from them."""
        if self._file >= 0:
            with suppress(OSError):
                if not keep:
                    self._path.unlink()
            os.close(self._file)
            self._file = -1

    def _note(self, said: dict[str, Any]) -> None:
        if self._file < 0:
            return
        line = json.dumps(said).encode() + b"\n"
        try:
            if os.write(self._file, line) != len(line):
                raise OSError("the note was cut off")
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.warning("no journal of sending", extra={"why": str(error)})
        self.close()


@contextmanager
def kept(folder: Path) -> Iterator[Journal]:
    """A journal for one run. It stays behind where the run dies or fails, as when the database is gone."""
    journal = Journal(folder)
    try:
        yield journal
    except BaseException:
        journal.close(keep=True)
        raise
    journal.close()


def left_behind(folder: Path) -> Iterator[list[Slice]]:
    """The slices of each run that died; its file goes when the caller comes for the next. One look at a folder when there is none."""
    for path in sorted(folder.glob("*.journal")):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # its run has just ended
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield _believed(path)
            with suppress(FileNotFoundError):
                path.unlink()
        except BlockingIOError:  # its run lives
            continue
        finally:
            os.close(file)


def _believed(path: Path) -> list[Slice]:
    """Nothing of a file that somebody else wrote to, or the disk."""
    try:
        return _read(path)
    except (KeyError, TypeError, ValueError):
        log.warning("journal of sending cannot be read", extra={"file": path.name})
        return []


def _read(path: Path) -> list[Slice]:
    """A mail that was offered and never answered is uncertain, one that was not offered was not tried."""
    notes = _notes(path)
    if next(notes, {}).get("boot") != BOOT.read_text().strip():
        return []
    slices: list[Slice] = []
    place: dict[int, Slice] = {}
    for said in notes:
        if "claims" in said:
            slices.append(Slice(datetime.fromisoformat(said["lease_until"])))
            place |= dict.fromkeys(said["claims"], slices[-1])
            slices[-1].answers.update(dict.fromkeys(said["claims"], Answer(Verdict.NOT_TRIED)))
        elif "offers" in said:
            place[said["offers"]].answers[said["offers"]] = Answer(Verdict.UNCERTAIN)
        else:
            place[said["answered"]].answers[said["answered"]] = Answer(Verdict(said["verdict"]), said["words"])
    return slices


def _notes(path: Path) -> Iterator[dict[str, Any]]:
    """A last line that was cut off says nothing."""
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield json.loads(line)
