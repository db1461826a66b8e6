"""Import: the product's `load` beside a hand-written COPY + upsert of the same rows, in one run on one database.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.import_rows [--rows 200000] [--activities 300000]

Use a RIPEN_HOME of its own: contacts are made. The goal: the product reaches a third of the staged upsert, at least 20,000 rows/s
with validation, and the same file again writes nothing.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

COLUMNS = ("external_id", "email", "first_name", "last_name", "title", "country", "city", "source", "company")
COUNTRIES = ("DE", "Austria", "CH", "France", "US", "Brazil", "")
TITLES = ("CFO", "VP Marketing", "Head of Sales", "Engineer", "Clerk", "")


def contact(number: int, round_: int) -> tuple[str, ...]:
    """Every tenth row says something new in round 1."""
    title = TITLES[(number + (number % 10 == 0) * round_) % len(TITLES)]
    return (
        f"bench-{number:08d}",
        f"person.{number}@company{number % 5000}.example",
        ("Ada", "José", "Bob", "Мария")[number % 4],
        f"Müller-{number % 997}",
        title,
        COUNTRIES[number % len(COUNTRIES)],
        ("Köln", "Paris", "Oslo", "")[number % 4],
        ("organic_search", "paid_search", "social")[number % 3],
        f"bench-company-{number % 5000}",
    )


def write_contacts(path: Path, rows: int, round_: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(contact(number, round_) for number in range(rows))


def write_activities(path: Path, rows: int, contacts: int) -> None:
    kinds = ("page_view", "email_open", "download", "form_submit")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("external_id", "contact", "kind", "occurred_at", "url"))
        for number in range(rows):
            day, second = number % 180, number % 86_400
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_767_225_600 + day * 86_400 + second))
            who = f"bench-{number * 7919 % contacts:08d}"
            writer.writerow((f"bench-a-{number}", who, kinds[number % 4], moment, f"/page/{number % 300}"))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def load(kind: str, path: Path) -> dict[str, Any]:
    from django.core.management import call_command

    out = io.StringIO()
    call_command("load", kind, str(path), stdout=out, stderr=io.StringIO())
    printed: dict[str, Any] = json.loads(out.getvalue())
    return printed


def staged_upsert(rows: Iterator[tuple[str, ...]], companies: dict[str, int]) -> None:
    """The yardstick: no validation, no outcomes, no marks, no rejects; one COPY, one upsert, one transaction."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE yard (external_id text, email text, first_name text, last_name text, title text, country text,"
            " city text, source text, company_id bigint) ON COMMIT DROP"
        )
        with cursor.copy("COPY yard FROM STDIN") as copy:
            for row in rows:
                copy.write_row((*row[:-1], companies[row[-1]]))
        cursor.execute("ANALYZE yard")
        cursor.execute(
            """
            INSERT INTO yard_contact (external_id, email, first_name, last_name, title, department, seniority, phone, country,
                region, city, postal_code, timezone, language, source, company_id, updated_at)
            SELECT external_id, email, first_name, last_name, title, '', '', '', country, '', city, '', '', '', source, company_id,
                now()
            FROM yard
            ON CONFLICT (external_id) DO UPDATE SET email = excluded.email, first_name = excluded.first_name,
                last_name = excluded.last_name, title = excluded.title, country = excluded.country, city = excluded.city,
                source = excluded.source, company_id = excluded.company_id, updated_at = excluded.updated_at
            WHERE (yard_contact.email, yard_contact.first_name, yard_contact.last_name, yard_contact.title,
                   yard_contact.country, yard_contact.city, yard_contact.source, yard_contact.company_id)
                IS DISTINCT FROM (excluded.email, excluded.first_name, excluded.last_name, excluded.title, excluded.country,
                   excluded.city, excluded.source, excluded.company_id)
            """
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--activities", type=int, default=300_000)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import servers

    with servers.in_use(), tempfile.TemporaryDirectory() as folder:
        import django

        django.setup()
        measure(Path(folder), options.rows, options.activities)


def measure(folder: Path, rows: int, activities: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    companies_file = folder / "companies.csv"
    companies_file.write_text("external_id,name\n" + "".join(f"bench-company-{n},Bench {n}\n" for n in range(5000)))
    load("companies", companies_file)
    files = []
    for round_ in (0, 1):
        files.append(folder / f"contacts-{round_}.csv")
        write_contacts(files[-1], rows, round_)
    with connection.cursor() as cursor:
        cursor.execute("SELECT external_id, id FROM leads_company WHERE external_id LIKE 'bench-company-%'")
        companies = dict(cursor.fetchall())
        cursor.execute("DROP TABLE IF EXISTS yard_contact")
        cursor.execute("CREATE TABLE yard_contact (LIKE leads_contact INCLUDING ALL)")
    print(f"{rows:,} contacts, {len(COLUMNS)} columns\n{'':24}{'product':>12}{'yardstick':>12}{'ratio':>8}")
    for label, round_ in (("new", 0), ("the same again", 0), ("one in ten changed", 1)):
        spent, printed = timed(lambda round_=round_: load("contacts", files[round_]))  # type: ignore[misc]
        yard, _nothing = timed(
            lambda round_=round_: staged_upsert((contact(number, round_) for number in range(rows)), companies)  # type: ignore[misc]
        )
        print(f"{label:24}{rows / spent:>10,.0f}/s{rows / yard:>10,.0f}/s{yard / spent:>8.2f}   {printed}")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE yard_contact")
        cursor.execute("SELECT pg_current_wal_insert_lsn()")
        (before,) = cursor.fetchone()
        load("contacts", files[1])
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", [before])
        print(f"the same file again writes {int(cursor.fetchone()[0]):,} bytes of WAL (catalogue of the staging table)")
    path = folder / "activities.csv"
    write_activities(path, activities, rows)
    for label in ("activities, new", "the same again"):
        spent, printed = timed(lambda: load("activities", path))
        print(f"{label:24}{activities / spent:>10,.0f}/s   {printed}")


if __name__ == "__main__":
    main()
