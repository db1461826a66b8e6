"""One address has one spelling: domains in letters, as people write them, instead of xn--…; what was said under the other one holds for both.

The ledger, the suppression list and wishes are copied, not moved: an address that two contacts have under its two spellings stays as it
is, and a mail that left for the old one still finds its hash.
"""

from django.db import migrations

from leads.text import normal_address

KNOWN = """
    SELECT DISTINCT lower(address COLLATE "pg_c_utf8") FROM (
        SELECT 'a@' || value AS address FROM leads_suppressionpattern WHERE kind = 'domain' UNION ALL
        SELECT email FROM leads_contact UNION ALL SELECT address FROM leads_suppression UNION ALL SELECT address FROM leads_consentrequest
    ) known WHERE address ~* '@(.*\\.)?xn--'
"""
COPIES = [
    """
    INSERT INTO leads_consentevent (address_hash, contact_id, purpose, state, counts, occurred_at, source, wording, proof)
    SELECT leads_address_hash(%(new)s), contact_id, purpose, state, counts, occurred_at, source, wording, proof
    FROM leads_consentevent WHERE address_hash = leads_address_hash(%(old)s) ORDER BY occurred_at, id
    """,
    """
    INSERT INTO leads_suppression (address_hash, address, reason, source, since)
    SELECT leads_address_hash(%(new)s), CASE address WHEN '' THEN '' ELSE %(new)s END, reason, source, since
    FROM leads_suppression WHERE address_hash = leads_address_hash(%(old)s) ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO leads_mailpreference (address_hash, pace, language, paused_until, tracking, updated_at)
    SELECT leads_address_hash(%(new)s), pace, language, paused_until, tracking, updated_at
    FROM leads_mailpreference WHERE address_hash = leads_address_hash(%(old)s) ON CONFLICT DO NOTHING
    """,
    """
    UPDATE leads_suppressionpattern SET value = split_part(%(new)s, '@', -1)
    WHERE kind = 'domain' AND value = split_part(%(old)s, '@', -1) AND NOT EXISTS (
        SELECT FROM leads_suppressionpattern other WHERE other.kind = 'domain' AND other.value = split_part(%(new)s, '@', -1)
    )
    """,
    """
    UPDATE leads_contact SET email = %(new)s
    WHERE lower(email) = %(old)s AND NOT EXISTS (SELECT FROM leads_contact other WHERE lower(other.email) = %(new)s)
    """,
    # two people under the two spellings of one mailbox: the one is left in peace until somebody merges them
    """
    INSERT INTO leads_suppression (address_hash, address, reason, source, since)
    SELECT leads_address_hash(%(old)s), %(old)s, 'by_hand', 'two spellings of one address', now()
    FROM leads_contact WHERE lower(email) = %(old)s ON CONFLICT DO NOTHING
    """,
    "UPDATE leads_consentrequest SET address_hash = leads_address_hash(%(new)s) WHERE address_hash = leads_address_hash(%(old)s)",
]


def spell(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(KNOWN)
        for (old,) in cursor.fetchall():
            new = normal_address(old)
            if new != old:
                for statement in COPIES:
                    cursor.execute(statement, {"old": old, "new": new})


class Migration(migrations.Migration):
    dependencies = [("leads", "0015_quiet_countries")]

    operations = [migrations.RunPython(spell, migrations.RunPython.noop)]
