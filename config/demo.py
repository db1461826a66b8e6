"""The three demo sign-ins that `make run` prints; their password is made once for each instance."""

import secrets
from pathlib import Path

from django.contrib.auth.models import Group, User

from config.env import write_once
from leads.access import ADMIN, MARKETER, SALES

SIGN_INS = {"marketer": MARKETER, "sales": SALES, "admin": ADMIN}


def ensure_sign_ins(home: Path) -> None:
    """Make those that are missing; a password that somebody changed stays. Nothing is made beside other people's accounts."""
    if User.objects.exclude(username__in=SIGN_INS).exists():
        return
    for name, role in SIGN_INS.items():
        user, made = User.objects.get_or_create(
            username=name, defaults={"is_staff": role == ADMIN, "is_superuser": role == ADMIN}
        )
        user.groups.add(Group.objects.get_or_create(name=role)[0])
        if made or not user.has_usable_password():
            user.set_password(password(home))
            user.save(update_fields=["password"])


def lines(home: Path) -> list[str]:
    """What to print: name and password of each demo account whose password is still the printed one."""
    accounts = {user.username: user for user in User.objects.filter(username__in=SIGN_INS, is_active=True)}
    return [
        f"{name:<10} password {password(home)}"
        for name in SIGN_INS
        if name in accounts and accounts[name].check_password(password(home))
    ]


def password(home: Path) -> str:
    """From the instance's own folder, readable to its owner only."""
    file = home / "demo-password"
    if not file.exists():
        write_once(file, "-".join(secrets.token_hex(2) for _ in range(3)))
    return file.read_text()
