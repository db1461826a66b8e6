"""`manage.py definitions export DIR | import DIR`: segments, personas, fields, stages and what higher rooms define, as YAML files."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from segments.definitions import export_to, import_from


class Command(BaseCommand):
    help = "Write every definition as one YAML file each, or read such files. Prints one JSON object."

    def add_arguments(self, parser: ArgumentParser) -> None:
        ways = parser.add_subparsers(dest="way", required=True)
        export = ways.add_parser("export", help="write the files")
        export.add_argument("folder", type=Path, metavar="DIR")
        export.add_argument("--with-people", action="store_true", help="also who was put in or taken out by hand")
        load = ways.add_parser("import", help="read the files: all of them or none")
        load.add_argument("folder", type=Path, metavar="DIR")
        load.add_argument("--dry-run", action="store_true", help="only say what would change")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        if options["way"] == "export":
            try:
                told = export_to(folder, with_people=options["with_people"])
            except OSError as error:
                raise CommandError(f"Cannot write to {folder}: {error.strerror}.") from error
            self.stdout.write(json.dumps(told, ensure_ascii=False))
            return
        if not folder.is_dir():
            raise CommandError(f"There is no folder {folder}.")
        told = import_from(folder, dry_run=options["dry_run"], actor=None, now=timezone.now())
        self.stdout.write(json.dumps(told, ensure_ascii=False))
        if told["refused"]:
            raise CommandError(f"{told['refused']} of {told['read']} files refused, nothing stored.")
