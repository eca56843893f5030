"""The limits and monitoring rules a deployment starts with, from `fixtures/limits.json`; edited in the console ever after."""

from decimal import Decimal

import fixtures
from compliance.models import Limit, MonitoringRule


def load() -> list[str]:
    """Make the limits and rules that do not exist yet; returns what was made. What exists is left alone, whatever it says."""
    data, made = fixtures.read("limits"), []
    for row in data["limits"]:
        for level, amount in enumerate(row["levels"]):
            for currency in row["currencies"] if amount is not None else ():
                found, is_new = Limit.objects.get_or_create(
                    kind=row["kind"], kyc_level=level, currency_id=currency, window=row["window"],
                    defaults={"amount": Decimal(amount)},
                )  # fmt: skip
                made += [str(found)] if is_new else []
    for rule in data["rules"]:
        values = {**rule, "threshold": Decimal(rule["threshold"])}
        code, currency = values.pop("code"), values.pop("currency", None)
        made_rule, is_new = MonitoringRule.objects.get_or_create(
            code=code, defaults={**values, "currency_id": currency}
        )
        made += [str(made_rule)] if is_new else []
    return made
