"""Mails per second over one connection: the product beside a bare smtplib loop, to the same sink, in one run.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.sending --mails 2000

The sink is aiosmtpd in a process of its own. The product claims, fills the template for each person, checks consent again, sends,
records and stores the mail as its reader saw it; the loop only sends. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import smtplib
import socket
import sys
import time
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import django

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


class Taker:
    """Takes everything."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        return "250 OK"


def sink(port: int) -> None:
    from aiosmtpd.smtp import SMTP

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(Taker(), hostname="sink"), "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(serve())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=2_000)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=sink, args=(port,), daemon=True)
    process.start()
    from config import servers

    try:
        with servers.in_use():
            django.setup()
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            print(json.dumps(measure(arguments.mails, port), indent=2))
    finally:
        process.terminate()


def measure(mails: int, port: int) -> dict[str, Any]:
    from leads.models import Company, Contact, Workspace
    from nurture.mailing import sending
    from nurture.mailing.smtp import Server
    from nurture.models import Sending, Template
    from nurture.patterns import STARTERS

    if Contact.objects.exists():
        sys.exit("This instance holds data; give the benchmark a RIPEN_HOME of its own.")
    Workspace.objects.update_or_create(
        pk=1, defaults={"sender_email": "ada@bench.test", "postal_address": "Street 1", "business_days": [1]}
    )
    starter = STARTERS["story"]
    template = Template.objects.create(
        slug="bench",
        name="Bench",
        subject=starter.subject,
        preheader=starter.preheader,
        body=starter.body,
        format="mjml",
    )
    company = Company.objects.create(name="Bench & Co")
    people = Contact.objects.bulk_create(
        Contact(external_id=f"c{n}", email=f"c{n}@bench.test", first_name=f"Ada {n}", company=company)
        for n in range(mails)
    )

    def queue() -> None:
        Sending.objects.all().delete()
        Sending.objects.bulk_create(
            Sending(
                key=f"b:{person.pk}",
                contact=person,
                template=template,
                address=str(person.email),
                queued_at=NOW,
                due_at=NOW,
            )
            for person in people
        )

    wait_for(port)
    queue()
    sending.send_due(NOW, seconds=3600.0)  # the local outbox: without a server
    outbox = mails / timed_outbox(queue)
    data = _wire(Sending.objects.earliest("pk").pk)
    queue()
    bare = mails / bare_loop(port, data, mails)
    queue()
    began = perf_counter()
    report = sending.send_due(NOW, seconds=3600.0, server=Server("127.0.0.1", port))
    product = mails / (perf_counter() - began)
    assert report.sent == mails, report
    bare = (bare + mails / bare_loop(port, data, mails)) / 2
    return {
        "mails": mails,
        "bytes_each": len(data),
        "product_per_second": round(product),
        "bare_smtplib_per_second": round(bare),
        "ratio": round(product / bare, 2),
        "outbox_per_second": round(outbox),
    }


def timed_outbox(queue: Any) -> float:
    from nurture.mailing import sending

    queue()
    began = perf_counter()
    sending.send_due(NOW, seconds=3600.0)
    return perf_counter() - began


def _wire(sending_id: int) -> bytes:
    """The bytes of one of the mails."""
    from leads.workspace import workspace
    from nurture.mailing.sending import write
    from nurture.models import Sending

    sending = Sending.objects.select_related("template", "contact__company", "contact__owner").get(pk=sending_id)
    message, _written = write(sending, workspace(), at=NOW)
    return message.data


def bare_loop(port: int, data: bytes, mails: int) -> float:
    began = perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        for number in range(mails):
            smtp.sendmail("ada@bench.test", [f"c{number}@bench.test"], data)
    return perf_counter() - began


def wait_for(port: int) -> None:
    for _each in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("The sink does not answer.")


if __name__ == "__main__":
    main()
