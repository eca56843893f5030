"""The page on which a user of the simulator lets an application in: plain HTML, no script."""

from collections.abc import Mapping
from html import escape
from typing import Final

MEANINGS: Final = {
    "trade": "See your accounts and trade on them",
    "account_manage": "Open accounts for you",
    "payment": "Move money to and from your accounts",
    "application_read": "Read what the application earned",
}
KEPT: Final = (
    "client_id", "redirect_uri", "response_type", "state", "scope", "code_challenge", "code_challenge_method",
)  # fmt: skip
_STYLE: Final = """
:root { color-scheme: light dark; --line: #d8dbe2; --soft: #6a7180; --accent: #4f46e5; --back: #f7f8fa; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --line: #32363f; --soft: #9aa1af; --accent: #818cf8; --back: #14161a; --card: #1c1f25; } }
* { box-sizing: border-box; } body { margin: 0; font: 15px/1.5 system-ui, sans-serif; background: var(--back); }
main { max-width: 440px; margin: 8vh auto; padding: 1.75rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
h1 { margin: 0 0 .25rem; font-size: 1.2rem; } p { margin: 0 0 1rem; color: var(--soft); } fieldset { border: 0; padding: 0; margin: 0 0 1.25rem; }
legend { padding: 0; font-weight: 600; } label { display: block; margin-top: .4rem; }
input[type=text], input[type=password] { width: 100%; margin-top: .25rem; padding: .45rem .6rem; border: 1px solid var(--line); border-radius: 6px; font: inherit; background: var(--back); color: inherit; }
button { font: inherit; padding: .5rem 1.1rem; border: 1px solid var(--line); border-radius: 6px; background: none; color: inherit; cursor: pointer; }
button[value=approve] { background: var(--accent); border-color: var(--accent); color: #fff; } .problem { color: #b91c1c; }
"""


def page(asked: Mapping[str, str], scopes: tuple[str, ...], *, needs_secret: bool, problem: str = "") -> str:
    """Who asks, for what, and who signs in."""
    kept = "".join(
        f'<input type="hidden" name="{name}" value="{escape(asked.get(name, ""))}">' for name in KEPT
    )
    boxes = "".join(
        f'<label><input type="checkbox" name="allow" value="{scope}" checked> {escape(MEANINGS[scope])}'
        f" <code>{scope}</code></label>"
        for scope in scopes
    )
    secret = (
        '<fieldset><legend>The simulator’s secret</legend><input type="password" name="secret" autocomplete="off">'
        "</fieldset>"
        if needs_secret
        else ""
    )
    wrong = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    return _whole(f"""
<h1>The simulator’s sign-in</h1>
<p>Application {escape(asked.get("client_id", ""))} asks to act for you. There is no real money here.</p>{wrong}
<form method="post" action="/oauth2/authorize">{kept}
<fieldset><legend>It may</legend>{boxes}</fieldset>
<fieldset><legend>You are</legend>
<label><input type="radio" name="who" value="new" checked> A new user, with a demo and a real account with 500.00 USD</label>
<label><input type="radio" name="who" value="login"> The holder of the account
<input type="text" name="login_id" placeholder="Log-in id, such as VRTC9000001" autocomplete="off" aria-label="Log-in id"></label>
</fieldset>{secret}
<button name="decision" value="approve">Approve</button> <button name="decision" value="refuse">Refuse</button>
</form>""")


def sorry(sentence: str) -> str:
    """Nobody can be sent back to the application: why."""
    return _whole(f'<h1>The simulator’s sign-in</h1><p class="problem">{escape(sentence)}</p>')


def _whole(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The simulator’s sign-in</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )
