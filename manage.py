#!/usr/bin/env python
"""Django's command line, with the embedded services running for every command that needs the database."""

import os
import signal
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from config import embedded, servers

# Everything else gets a database: a command that needs none and is missing here only starts a little later.
WITHOUT_DATABASE = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "makemessages",
    "startapp",
    "startproject",
    "version",
}


def needs_database(arguments: list[str]) -> bool:
    """From the words after `manage.py`; a request for help needs nothing."""
    if not arguments or {"-h", "--help"} & set(arguments):
        return False
    return arguments[0] not in WITHOUT_DATABASE or any(word.startswith("--database") for word in arguments)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if not needs_database(sys.argv[1:]):
        execute_from_command_line(sys.argv)
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with servers.in_use():
            if sys.argv[1] == "dbshell":
                embedded.add_psql_to_path()
            execute_from_command_line(sys.argv)
    except (embedded.EmbeddedError, servers.ServerRefused, ImproperlyConfigured) as error:
        sys.exit(f"ripen: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
