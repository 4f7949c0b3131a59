"""The people of the tests: an Owner who may do everything, an Operator, a Viewer; a Stranger has not logged in."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

PASSWORD = "correct horse battery"
ROLES = ("owner", "risk", "operator", "viewer")
FAST_LOGIN = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def make_person(role: str) -> Any:
    """Return a user named after the role; the owner is a superuser, all others are in their group alone."""
    users = get_user_model().objects
    if role == "owner":
        return users.create_superuser("owner", password=PASSWORD)
    # A test with real transactions empties all tables when it ends: the groups are made as the migration does.
    import_module("execution.migrations.0002_add_groups").add_groups(apps, None)
    user = users.create_user(role, password=PASSWORD)
    user.groups.add(Group.objects.get(name=role))
    return user


def client_of(role: str) -> Client:
    """Return a browser's worth of session; the stranger's has none."""
    client = Client()
    if role != "stranger":
        client.force_login(make_person(role), backend="django.contrib.auth.backends.ModelBackend")
    return client
