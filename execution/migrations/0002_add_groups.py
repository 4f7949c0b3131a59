"""The four roles: viewer looks, operator stops and pauses, risk arms, admin edits."""

from __future__ import annotations

from django.db import migrations

OPERATE = ("Can pause, resume and kill", "operate")
ARM = ("Can arm trading", "arm")
ROLES = {"viewer": (), "operator": (OPERATE,), "risk": (OPERATE, ARM), "admin": (OPERATE, ARM)}
EDITED = ("portfolioweight", "rebalancesettings", "limitrow")


def add_groups(apps, schema_editor):
    group_model = apps.get_model("auth", "Group")
    for role, wanted in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=role)
        for name, codename in wanted:
            group.permissions.add(_permission(apps, "controlrow", name, codename))
    admin = group_model.objects.get(name="admin")
    for model in EDITED:
        for verb in ("add", "change", "view"):
            admin.permissions.add(_permission(apps, model, f"Can {verb} {model}", f"{verb}_{model}"))


def _permission(apps, model, name, codename):
    """Return a permission that Django itself makes only after all migrations."""
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label="execution", model=model)
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind, codename=codename, defaults={"name": name}
    )
    return permission


def remove_groups(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("execution", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(add_groups, remove_groups)]
