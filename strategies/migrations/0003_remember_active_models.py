"""Give what trades an activation, so that what replaces it can be rolled back to it. Nothing to undo."""

from django.db import migrations


def remember(apps, schema_editor):
    activation = apps.get_model("strategies", "Activation")
    active = apps.get_model("strategies", "FittedModel").objects.filter(status="active", activations=None)
    activation.objects.bulk_create(
        activation(model=model, kind="fitted", actor=model.fitted_by, reason=model.note, at=model.created_at)
        for model in active
    )


class Migration(migrations.Migration):
    dependencies = [("strategies", "0002_add_promotion_shadows_and_drift")]
    operations = [migrations.RunPython(remember, migrations.RunPython.noop)]
