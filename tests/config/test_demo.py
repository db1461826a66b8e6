"""The demo sign-ins: made once, printed while they hold, never beside real accounts."""

import stat
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config import demo
from leads.access import roles_of

pytestmark = pytest.mark.django_db


def test_three_sign_ins_that_work(tmp_path: Path) -> None:
    demo.ensure_sign_ins(tmp_path)
    password = demo.password(tmp_path)
    assert demo.lines(tmp_path) == [f"{name:<10} password {password}" for name in ("marketer", "sales", "admin")]
    assert stat.S_IMODE((tmp_path / "demo-password").stat().st_mode) == 0o600
    roles = {user.username: roles_of(user) for user in User.objects.all()}
    assert roles == {"marketer": {"Marketer"}, "sales": {"Sales"}, "admin": {"Admin"}}
    response = Client().post("/login/", {"username": "marketer", "password": password})
    assert (response.status_code, response["Location"]) == (302, "/")


def test_a_changed_password_stays_and_is_not_printed(tmp_path: Path) -> None:
    demo.ensure_sign_ins(tmp_path)
    admin = User.objects.get(username="admin")
    admin.set_password("of my own")
    admin.save()
    demo.ensure_sign_ins(tmp_path)
    assert [line.split()[0] for line in demo.lines(tmp_path)] == ["marketer", "sales"]


def test_nothing_is_made_beside_real_accounts(tmp_path: Path) -> None:
    User.objects.create_user("ada")
    demo.ensure_sign_ins(tmp_path)
    assert list(User.objects.values_list("username", flat=True)) == ["ada"]
    assert demo.lines(tmp_path) == []
