"""Form fields as people type: amounts without eighteen decimals, and a reason for every change."""

from decimal import Decimal
from typing import Any

from django import forms
from django.db import models
from unfold.widgets import UnfoldAdminTextInputWidget


class TidyDecimalField(forms.DecimalField):
    """A decimal that is shown without the zeros the database keeps behind it."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            text = f"{value:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(initial) != self.to_python(data))
        except forms.ValidationError:
            return True


def tidy_decimal(column: models.DecimalField) -> forms.Field:
    """The form field of a decimal column."""
    return TidyDecimalField(
        label=str(column.verbose_name).capitalize(),
        help_text=column.help_text,
        required=not column.blank,
        max_digits=column.max_digits,
        decimal_places=column.decimal_places,
        localize=False,
        widget=UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"}),
    )


class ReasonedForm(forms.ModelForm):
    """The form of a record with history: changing it needs a reason, which is kept with the change."""

    change_reason = forms.CharField(
        label="Reason",
        min_length=5,
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
        help_text="Why this changes; kept with the change for good.",
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        is_change = self.instance.pk is not None and not self.instance._state.adding
        if is_change and self.changed_data and not found.get("change_reason"):
            self.add_error("change_reason", "Say why. Nothing was saved.")
        return found
