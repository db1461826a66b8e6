"""manage.py take_mail: read mail that came back, one from standard input or those of a Maildir."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from nurture.mailing import incoming


class Command(BaseCommand):
    help = (
        "Take unsubscriptions by mail, bounces and complaints: one mail from standard input (an alias of the mail server pipes it here), "
        "or all new ones of a Maildir. Prints what came of them; what cannot be read changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--maildir", type=Path, help="Take what is in its new/ and move it to its cur/.")

    def handle(self, *args: Any, maildir: Path | None = None, **options: Any) -> None:
        if maildir is None:
            self.stdout.write(incoming.take(sys.stdin.buffer.read(incoming.LARGEST), now=timezone.now()).value)
            return
        if not (maildir / "new").is_dir() or not (maildir / "cur").is_dir():
            raise CommandError(f"{maildir} is no Maildir: it has no new/ and cur/.")
        outcomes: Counter[str] = Counter()
        for path in sorted((maildir / "new").iterdir()):
            with path.open("rb") as file:
                data = file.read(incoming.LARGEST)
            outcomes[incoming.take(data, now=timezone.now()).value] += 1
            path.rename(
                maildir / "cur" / f"{path.name}:2,S"
            )  # after its commit: a crash takes it again, which changes nothing
        self.stdout.write(
            ", ".join(f"{outcome}: {number}" for outcome, number in sorted(outcomes.items())) or "nothing new"
        )
