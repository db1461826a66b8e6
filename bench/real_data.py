"""The figures on real data: loads two public data sets from a folder through `manage.py load`, twice, and compares with the files.

    RIPEN_HOME=/tmp/real .venv/bin/python -m bench.real_data FOLDER

FOLDER holds `olist-funnel/` (Marketing Funnel by Olist, Kaggle) and `crm-opportunities/` (CRM Sales Opportunities, Maven Analytics).
Use a RIPEN_HOME of its own. Every line says what was found and what the file itself says; the exit status is 1 when one differs.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LEADS = "olist-funnel/olist_marketing_qualified_leads_dataset.csv"
WON = "olist-funnel/olist_closed_deals_dataset.csv"
ACCOUNTS = "crm-opportunities/accounts.csv"
PIPELINE = "crm-opportunities/sales_pipeline.csv"

MAPPINGS: dict[str, dict[str, Any]] = {
    LEADS: {"columns": {"mql_id": "external_id", "origin": "source"}},
    WON: {
        "columns": {"mql_id": ["external_id", "contacts"], "won_date": "closed_on", "sr_id": "owner"},
        "constants": {"status": "won"},
    },
    ACCOUNTS: {
        "columns": {
            "account": "name",
            "sector": "industry",
            "year_established": "founded",
            "office_location": "country",
        }
    },
    PIPELINE: {
        "columns": {
            "opportunity_id": "external_id",
            "sales_agent": "owner",
            "account": "company",
            "deal_stage": "status",
            "engage_date": "opened_on",
            "close_date": "closed_on",
            "close_value": "amount",
        },
        "values": {
            "status": {"Won": "won", "Lost": "lost", "Engaging": "open", "Prospecting": "open"},
            "product": {"GTXPro": "GTX Pro"},
        },
        "dates": "%m/%d/%Y",
    },
}
KINDS = {LEADS: "contacts", WON: "deals", ACCOUNTS: "companies", PIPELINE: "deals"}
PAID_SEARCH = {"field": "contact.source", "op": "is", "value": "paid_search"}
HAS_WON = {"has": "deal", "where": [{"field": "status", "op": "is", "value": "won"}]}


def command(*words: str) -> dict[str, Any]:
    from django.core.management import call_command

    out = io.StringIO()
    call_command(*words, stdout=out, stderr=io.StringIO())
    printed: dict[str, Any] = json.loads(out.getvalue())
    return printed


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def loaded(folder: Path, name: str, scratch: Path) -> Iterator[tuple[str, Any, Any]]:
    """Both runs of one file."""
    mapping = scratch / "mapping.json"
    mapping.write_text(json.dumps(MAPPINGS[name]))
    total = len(rows_of(folder / name))
    words = ("load", KINDS[name], str(folder / name), "--mapping", str(mapping), "--create-fields")
    started = time.perf_counter()
    first = command(*words)
    seconds = time.perf_counter() - started
    told = sum(first[key] for key in ("created", "updated", "unchanged", "rejected"))
    yield (
        f"{name}: rows read ({seconds:.1f} s, {first['created']:,} new, {first['rejected']:,} rejected)",
        first["read"],
        total,
    )
    yield f"{name}: created + updated + unchanged + rejected", told, total
    yield f"{name}: second run, unchanged", command(*words)["unchanged"], total


def count(conditions: Any, scratch: Path) -> int:
    path = scratch / "conditions.json"
    path.write_text(json.dumps(conditions))
    return int(command("match", str(path), "--count")["count"])


def figures(folder: Path, scratch: Path) -> Iterator[tuple[str, Any, Any]]:
    from leads.models import Company, Contact, Deal

    leads, won, accounts, pipeline = (rows_of(folder / name) for name in (LEADS, WON, ACCOUNTS, PIPELINE))
    for name in (LEADS, WON, ACCOUNTS, PIPELINE):
        yield from loaded(folder, name, scratch)
    paid = {row["mql_id"] for row in leads if row["origin"] == "paid_search"}
    winners = {row["mql_id"] for row in won}
    yield "contacts", Contact.objects.count(), len(leads)
    yield "match: origin is paid_search", count(PAID_SEARCH, scratch), len(paid)
    yield "match: has a won deal", count(HAS_WON, scratch), len(winners)
    yield "match: both", count({"all": [PAID_SEARCH, HAS_WON]}, scratch), len(paid & winners)
    yield "companies", Company.objects.count(), len(accounts)
    misspelt = sum(row["sector"] == "technolgy" for row in accounts)
    yield (
        "companies whose sector stays misspelt “technolgy”",
        Company.objects.filter(industry="technolgy").count(),
        misspelt,
    )
    deals = Deal.objects.exclude(external_id__in=winners)
    yield "deals of the CRM", deals.count(), len(pipeline)
    for status, stages in (("won", {"Won"}), ("lost", {"Lost"}), ("open", {"Engaging", "Prospecting"})):
        wanted = sum(row["deal_stage"] in stages for row in pipeline)
        yield f"deals {status}", deals.filter(status=status).count(), wanted
    spelled = sum(row["product"] in ("GTXPro", "GTX Pro") for row in pipeline)
    yield "deals of “GTX Pro”, “GTXPro” joined to it", deals.filter(product="GTX Pro").count(), spelled
    yield (
        "deals without an account, taken",
        deals.filter(company=None).count(),
        sum(not row["account"] for row in pipeline),
    )
    yield (
        "deals without an engage date, taken",
        deals.filter(opened_on=None).count(),
        sum(not row["engage_date"] for row in pipeline),
    )


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print(__doc__)
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import servers

    with servers.in_use(), tempfile.TemporaryDirectory() as scratch:
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        differ = 0
        for label, found, wanted in figures(Path(sys.argv[1]), Path(scratch)):
            differ += found != wanted
            print(
                f"{'ok  ' if found == wanted else 'BAD '} {label}: {found:,}{'' if found == wanted else f', the file says {wanted:,}'}"
            )
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
