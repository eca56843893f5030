"""Who may open which page of the console: the table of every registered admin × every role."""

import pytest
from django.contrib import admin
from django.urls import reverse

from tests import world
from tests.edges import staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def expected(console, user, model, kind):
    """What the person's permissions say about a page; the admin classes are not asked."""
    label, opts = model._meta.app_label, model._meta
    may = {verb: user.has_perm(f"{label}.{verb}_{opts.model_name}") for verb in ("view", "add", "change")}
    sees = may["view"] or (may["change"] and bool(console.edit_fields))
    return {
        "changelist": 200 if sees else 403,
        "change": 200 if sees else 403,
        "history": (200 if hasattr(model, "history") else 404) if sees else 403,
        "edit": 200 if may["change"] and console.edit_fields else 403,
        "add": 200 if may["add"] and console.add_fields else 403,
        "delete": 403,
    }[kind]


@pytest.mark.parametrize("role", ["", *staff.ROLES, "superuser"])
def test_every_page_answers_each_role_as_its_permissions_say(role):
    rows = staff.everything()
    assert set(rows) == set(staff.REGISTERED), "a new admin needs a row in tests/edges/staff.py"
    user = staff.superuser() if role == "superuser" else world.staff(role)
    browser, wrong = staff.browser(user), []
    for model, row in rows.items():
        console = admin.site._registry[model]
        for kind in ("changelist", "add", "change", "edit", "history", "delete"):
            own = kind in ("changelist", "add")
            url = reverse(staff.name(model, kind)) if own else staff.page(row, kind)
            status = browser.get(url).status_code
            if status != (wanted := expected(console, user, model, kind)):
                wrong.append(f"{url}: {status}, not {wanted}")
    assert not wrong


def test_nobody_unknown_and_no_client_gets_in():
    rows = staff.everything()
    urls = [reverse("admin:index"), reverse("admin:search") + "?s=amina", reverse("admin:jobs_at_a_glance"), reverse("admin:stuck"),
            reverse("admin:ledger_trial_balance")]  # fmt: skip
    for model, row in rows.items():
        urls += [reverse(staff.name(model, kind)) for kind in ("changelist", "add")]
        urls += [staff.page(row, kind) for kind in ("change", "edit", "history", "delete")]
    for user in (None, world.client().user):
        browser = staff.browser(user)
        for url in urls:
            answer = browser.get(url)
            assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/"), url
            assert browser.post(url).status_code == 302, url


def test_a_client_cannot_log_in_to_the_console():
    user = world.client().user
    answer = staff.browser(None).post(
        reverse("admin:login"), {"username": user.email, "password": world.PASSWORD}
    )
    assert answer.status_code == 200 and "staff" in answer.content.decode()
    assert "_auth_user_id" not in answer.wsgi_request.session


def test_the_history_page_takes_nothing():
    browser = staff.browser(staff.superuser())
    for row in staff.everything().values():
        assert browser.post(staff.page(row, "history")).status_code == 405
        assert browser.post(staff.page(row)).status_code == 405


def test_there_is_no_page_of_an_old_version_and_none_of_object_permissions():
    row = staff.everything()[staff.Instrument]
    browser = staff.browser(staff.superuser())
    for rest in (f"{row.pk}/history/1/", f"{row.pk}/permissions/", "export/", "import/"):
        url = reverse(staff.name(staff.Instrument, "changelist")) + rest
        for answer in (browser.get(url), browser.post(url)):
            assert answer.status_code in (301, 302, 404, 405), url
            if answer.status_code in (301, 302):  # Django reads an unknown path as an object's id
                assert browser.get(answer["Location"]).status_code in (302, 404, 200)


def test_every_admin_is_one_of_ours_and_deletes_nothing():
    from backoffice.admin.base import ConsoleAdmin
    from backoffice.admin.exporting import Exported

    for model, console in admin.site._registry.items():
        assert isinstance(console, ConsoleAdmin), model
        assert not hasattr(console, "request"), "admins are shared between threads"
        assert list(console.get_actions(_request())) == []
        assert not console.has_delete_permission(_request())
        assert console.has_export_permission(_request()) == isinstance(console, Exported)
        assert not console.has_import_permission(_request())


def _request():
    from django.test import RequestFactory

    request = RequestFactory().get("/admin/")
    request.user = staff.superuser()
    return request
