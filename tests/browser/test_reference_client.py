"""The reference client in a real browser: sign up, place, watch it live, over the public API alone."""

import re

import pytest

from tests import world
from tests.browser.conftest import picture

pytestmark = [pytest.mark.processes, pytest.mark.browser]


def sign_up(page, deployment, first_name="Amina"):
    from playwright.sync_api import expect

    page.goto(f"{deployment.url}/client/")
    form = page.locator("#sign-up")
    form.get_by_label("First name").fill(first_name)
    form.get_by_label("Last name").fill("Odhiambo")
    form.get_by_label("E-mail").fill(f"{world.key()}@example.com")
    form.get_by_label("Password").fill(world.PASSWORD)
    form.get_by_role("button").click()
    expect(page.locator("#balance")).to_have_text("10,000.00 USD", timeout=20_000)


def test_a_person_signs_up_places_a_trade_and_watches_it_settle(page, deployment):
    from playwright.sync_api import expect

    sign_up(page, deployment)
    expect(page.locator("#empty")).to_be_visible()
    page.locator("[name=duration]").fill("3")
    expect(page.locator("#offer")).to_contain_text("Pays 19.53 USD if right", timeout=10_000)
    page.get_by_role("button", name="Place").click()
    row = page.locator("#trades tr")
    expect(row).to_have_count(1)
    expect(row.locator(".badge")).to_have_text(re.compile("^(won|lost)$"), timeout=20_000)
    won = row.locator(".badge").inner_text() == "won"
    expect(row.locator("td.number").last).to_have_text("+9.53" if won else "-10.00")
    expect(page.locator("#balance")).to_have_text("10,009.53 USD" if won else "9,990.00 USD")
    picture(page, "reference-client")
    page.reload()
    expect(row.locator(".badge")).to_have_text("won" if won else "lost")


def test_a_refusal_is_shown_beside_what_was_typed(page, deployment):
    from playwright.sync_api import expect

    sign_up(page, deployment)
    page.locator("[name=stake]").fill("0.01")
    page.get_by_role("button", name="Place").click()
    expect(page.locator("#place .problem")).to_contain_text("A stake on Volatility 100 Index is 0.35 to")
    expect(page.locator("[name=stake]")).to_be_focused()
    expect(page.locator("#trades tr")).to_have_count(0)


def test_a_person_links_their_accounts_at_the_venue_and_chooses_the_real_one(page, deployment):
    from playwright.sync_api import expect

    sign_up(page, deployment)
    page.get_by_role("button", name="Link a Deriv account").click()
    expect(page.get_by_role("heading", name="The simulator’s sign-in")).to_be_visible()
    picture(page, "simulator-sign-in")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#linked")).to_contain_text("Linked: ", timeout=20_000)
    assert page.url == f"{deployment.url}/client/", "nothing that was brought stays in the address"
    real = page.locator("#accounts li", has_text="Real")
    expect(real).to_contain_text("500.00 USD")
    real.get_by_role("button", name="Use this one").click()
    expect(page.locator("#balance")).to_have_text("500.00 USD")
    expect(real).to_contain_text("Used for your trades")
    picture(page, "linked-accounts")
    page.get_by_role("button", name="Link a Deriv account").click()
    page.get_by_role("button", name="Refuse").click()
    expect(page.locator("#link-problem")).to_contain_text("you said no")


def test_the_explorer_works_without_any_other_server(page, deployment):
    from playwright.sync_api import expect

    elsewhere = []
    page.on(
        "request",
        lambda request: (
            elsewhere.append(request.url)
            if not request.url.startswith((deployment.url, "data:", "blob:"))
            else None
        ),
    )
    page.goto(f"{deployment.url}/graphql/")
    expect(page.locator(".graphiql-container")).to_be_visible(timeout=15_000)
    page.get_by_role("button", name=re.compile("Show Documentation", re.IGNORECASE)).click()
    expect(page.get_by_text("Mutation", exact=True).first).to_be_visible()
    picture(page, "explorer")
    assert elsewhere == []
