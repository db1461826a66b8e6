"""Addresses are kept by a keyed hash; what stood in the ledger and the suppression list is carried over, and every instance has purposes.

The key is made here, once for each instance, and lives in two functions of the database: it is dumped and restored with the rows that
need it, since a lost key would forget every withdrawal. The hash is made over the old, plain one, so that rows whose address nobody
knows any more keep their meaning. Going back would need the plain hashes again, so there is no way back.
"""

import secrets

from django.db import migrations
from django.db.models.functions import Now

FUNCTIONS = """
    CREATE FUNCTION leads_address_key() RETURNS bytea STABLE PARALLEL SAFE LANGUAGE sql RETURN '\\x{key}'::bytea;
    CREATE FUNCTION leads_address_hash(address text) RETURNS text STABLE PARALLEL SAFE LANGUAGE sql RETURN
        encode(sha256('\\x{key}'::bytea || sha256(convert_to(lower(address COLLATE "pg_c_utf8"), 'UTF8'))), 'hex');
"""
REHASH = "encode(sha256(leads_address_key() || decode(address_hash, 'hex')), 'hex')"
IS_PLAIN = "address_hash ~ '^[0-9a-f]{64}$'"
CARRY_OVER = f"""
    UPDATE leads_consentevent SET address_hash = {REHASH} WHERE {IS_PLAIN};
    UPDATE leads_suppression SET address_hash = {REHASH} WHERE {IS_PLAIN};

    -- an unsubscription is a matter of the ledger, from where it can be taken back by the person alone
    INSERT INTO leads_consentevent (address_hash, purpose, state, occurred_at, source, wording, proof)
    SELECT s.address_hash, 'marketing', 'withdrawn', s.since, left(s.source, 100), '', '{{}}'
    FROM leads_suppression s
    WHERE s.reason = 'unsubscribed' AND coalesce((
        SELECT e.state FROM leads_consentevent e WHERE e.address_hash = s.address_hash AND e.purpose = 'marketing' AND e.state <> 'asked'
        ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1
    ), '') <> 'withdrawn';
    DELETE FROM leads_suppression WHERE reason = 'unsubscribed';

    UPDATE leads_suppression s SET address = c.email
    FROM leads_contact c WHERE c.email IS NOT NULL AND leads_address_hash(c.email) = s.address_hash;
    UPDATE leads_consentevent e SET contact_id = c.id
    FROM leads_contact c WHERE e.contact_id IS NULL AND c.email IS NOT NULL AND leads_address_hash(c.email) = e.address_hash;

    -- “asked” takes nothing back that was said before
    UPDATE leads_consentevent a SET counts = false
    WHERE a.state = 'asked' AND EXISTS (
        SELECT FROM leads_consentevent e WHERE e.address_hash = a.address_hash AND e.purpose = a.purpose AND e.state <> 'asked'
            AND (e.occurred_at, e.id) < (a.occurred_at, a.id)
    );
"""

PURPOSES = [
    ("marketing", "Everything we send", "All of the below together.", "interest", 0),
    ("newsletter", "Newsletter", "What is new in our field, now and then.", "consent", 10),
    ("product-news", "Product news", "New features and changes of what you use.", "interest", 20),
    ("events", "Events", "Invitations to webinars, fairs and meetings.", "consent", 30),
    ("one-to-one", "Personal mail", "A colleague of ours writes to you alone.", "interest", 40),
]
ROLES = ["abuse", "mailer-daemon", "no-reply", "noreply", "postmaster"]


def make_functions(apps, schema_editor):
    schema_editor.execute(FUNCTIONS.format(key=secrets.token_hex(32)))


def carry_over(apps, schema_editor):
    schema_editor.execute(CARRY_OVER)
    ledger = apps.get_model("leads", "ConsentEvent")
    used = {*ledger.objects.order_by().values_list("purpose", flat=True).distinct()} - {slug for slug, *_rest in PURPOSES}
    rows = [*PURPOSES, *((slug, slug.replace("-", " ").capitalize(), "", "consent", 100) for slug in sorted(used))]
    purpose = apps.get_model("leads", "Purpose")
    purpose.objects.bulk_create(
        [
            purpose(slug=slug, name=name, description=description, basis=basis, position=position)
            for slug, name, description, basis, position in rows
        ]
    )
    pattern = apps.get_model("leads", "SuppressionPattern")
    pattern.objects.bulk_create([pattern(kind="role", value=role, source="built_in", since=Now()) for role in ROLES])


class Migration(migrations.Migration):
    dependencies = [("leads", "0007_consent_by_purpose")]

    operations = [migrations.RunPython(make_functions), migrations.RunPython(carry_over)]
