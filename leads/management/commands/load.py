"""Loads a file of companies, contacts, activities or deals (docs/imports.md)."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import actions
from leads.importing import mapping as mappings
from leads.importing import rejects as reject_files
from leads.importing.mapping import BadMapping
from leads.importing.reading import FileRefused, Source, open_source
from leads.importing.run import Chunk, Prepared, Tally, make_new_fields, prepare, run
from leads.intake import Circumstances
from leads.models import ImportJob
from leads.queries_intake import shadow


class Command(BaseCommand):
    help = "Load a CSV or JSON lines file; the same file again changes nothing. Prints one JSON object with the counts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=sorted(ImportJob.Kind.values), metavar="KIND")
        parser.add_argument("file", metavar="FILE", help=".csv or .jsonl; - reads JSON lines from standard input")
        parser.add_argument("--mapping", metavar="M.json", help="which column fills which field")
        parser.add_argument(
            "--create-fields", action="store_true", help="make custom fields of unknown columns or keys"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen; store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="ripen-load-") as folder:
            try:
                path = self._path(options["file"], Path(folder))
                mapping = self._mapping(options["mapping"])
                source = open_source(path)
                for note in source.notes:
                    self.stderr.write(note)
                prepared = prepare(options["kind"], source, mapping, create_fields=options["create_fields"])
                prepared.plan()
            except (FileRefused, BadMapping) as error:
                raise CommandError(str(error)) from error
            self._tell(prepared)
            tally, rejects_file = self._load(prepared, dry_run=options["dry_run"], name=options["file"])
        self.stdout.write(json.dumps({**tally.to_document(), "rejects_file": rejects_file}))

    def _path(self, name: str, folder: Path) -> Path:
        if name == "-":
            path = folder / "input.jsonl"
            if binary := getattr(sys.stdin, "buffer", None):
                with path.open("wb") as file:
                    shutil.copyfileobj(binary, file)
            else:  # a text stream put in its place
                path.write_text(sys.stdin.read(), encoding="utf-8", errors="surrogatepass")
            return path
        path = Path(name)
        if not path.is_file():
            raise CommandError(f"There is no file {name}.")
        return path

    def _mapping(self, name: str | None) -> mappings.Mapping:
        if not name:
            return mappings.Mapping()
        try:
            text = Path(name).read_text(encoding="utf-8-sig")
            document = json.loads(text, object_pairs_hook=_without_repetition)
        except OSError as error:
            raise CommandError(f"The mapping {name} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise CommandError(f"The mapping {name} is not JSON: {error}.") from error
        return mappings.from_document(document)

    def _tell(self, prepared: Prepared) -> None:
        """How the columns were understood, for people."""
        for name, filled in prepared.targets.of.items():
            if filled and filled != [name]:
                self.stderr.write(f"{name} -> {', '.join(filled)}")
        for key, type in prepared.new_types.items():
            self.stderr.write(f"new field {key}: {type}")
        for name in prepared.targets.unknown:
            self.stderr.write(
                f"{name}: unknown field; rows that fill it are rejected (map it, ignore it, or --create-fields)"
            )

    def _load(self, prepared: Prepared, *, dry_run: bool, name: str) -> tuple[Tally, str | None]:
        now = timezone.now()
        with _RejectsFile(prepared.source) as file:
            if dry_run:
                with shadow() as shade:
                    circumstances = Circumstances(now=now, cause="import", shadow=shade)
                    tally = run(prepared, circumstances, tell=file.add)
            else:
                make_new_fields(prepared, actor=None, now=now)
                tally = run(prepared, Circumstances(now=now, cause="import"), tell=file.add)
                detail = {"file": Path(name).name, **tally.to_document()}
                actions.audit(None, "loaded", prepared.kind, detail, now)
        return tally, file.written


class _RejectsFile:
    """Made when the first row is rejected; below MEDIA_ROOT, so that it outlives the command."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._file: IO[str] | None = None
        self.written: str | None = None

    def __enter__(self) -> _RejectsFile:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file:
            self._file.close()

    def add(self, chunk: Chunk) -> None:
        if not chunk.rejects:
            return
        is_first = self._file is None
        if self._file is None:
            folder = Path(settings.MEDIA_ROOT) / "rejects"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"rejected-{secrets.token_hex(6)}.{self._source.format}"
            self._file, self.written = path.open("w", encoding="utf-8", newline=""), str(path)
        rows = ((reject.line, reject.reason, reject.raw) for reject in chunk.rejects)
        if self._source.format == "jsonl":
            self._file.writelines(reject_files.json_lines(rows))
        else:
            lines = reject_files.csv_lines(self._source.header, rows)
            if not is_first:
                next(lines)
            self._file.writelines(lines)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError for a key that stands twice, of which one would be dropped without a word."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _value in pairs]
        raise ValueError(_("“%(key)s” stands there twice") % {"key": next(key for key in keys if keys.count(key) > 1)})
    return found
