"""The categories of adjustments a deployment starts with, from `fixtures/adjustments.json`; edited in the console ever after."""

import fixtures
from ledger.models import AdjustmentCategory


def load() -> list[str]:
    """Make the categories that do not exist yet; returns what was made. What exists is left alone, whatever it says."""
    made = []
    for row in fixtures.read("adjustments")["categories"]:
        values = dict(row)
        found, is_new = AdjustmentCategory.objects.get_or_create(name=values.pop("name"), defaults=values)
        made += [str(found)] if is_new else []
    return made
