"""A person at the simulator's sign-in: opens the page as a browser would, decides, and is sent back."""

import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.running import HTTP


def fields_of(page: str) -> dict[str, str]:
    """The page's hidden fields."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


def decide(
    url: str,
    *,
    login_id: str = "",
    allow: tuple[str, ...] = ("trade", "account_manage", "payment"),
    decision: str = "approve",
    **changed: str,
) -> httpx.Response:
    """Sign in as the holder of a log-in, or as a new user, and say yes or no."""
    page = HTTP.get(url)
    assert page.status_code == 200, page.text
    who = {"who": "login", "login_id": login_id} if login_id else {"who": "new"}
    form = {**fields_of(page.text), **who, "decision": decision, **changed}
    address = urlsplit(url)
    return HTTP.post(
        f"{address.scheme}://{address.netloc}{address.path}", data={**form, "allow": list(allow)}
    )


def sent_back(answer: httpx.Response) -> dict[str, str]:
    """What the person brings back to the application."""
    assert answer.status_code == 303, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def approved(url: str, **given: object) -> tuple[str, str]:
    """The state and the code that an approval brings back."""
    brought = sent_back(decide(url, **given))  # type: ignore[arg-type]
    return brought["state"], brought["code"]
