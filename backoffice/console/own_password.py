"""Staff change their own password: whoever sits at an open console must know the old one, and cannot try for long."""

from typing import Any

from django import forms
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpResponse
from django.urls import reverse_lazy
from django.utils import timezone
from unfold.forms import AdminOwnPasswordChangeForm

from backoffice import throttle
from backoffice.staff import locks, passwords
from backoffice.who import By

TRIES, SECONDS = 5, 300


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """The old password and the new one, twice. A wrong old one counts like a failed log-in."""

    def clean_old_password(self) -> str:
        who = str(self.user.uuid)
        try:
            throttle.take("own-password", who, limit=TRIES, seconds=SECONDS)
        except throttle.TooManyRequests as found:
            raise forms.ValidationError(found.message, code=found.code) from None
        try:
            given: str = super().clean_old_password()
        except forms.ValidationError:
            locks.failed(self.user, by=By.user(self.user), at=timezone.now())
            raise
        throttle.forget("own-password", who)
        return given


class OwnPasswordView(PasswordChangeView):
    """The page; the session it is changed in goes on, all others of the person end."""

    form_class = OwnPasswordForm
    template_name = "registration/password_change_form.html"
    success_url = reverse_lazy("admin:password_change_done")

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        user = form.user
        session = getattr(self.request, "console_session", None)
        passwords.changed(user, by=By.user(user), at=timezone.now(), but=session)
        return answer
