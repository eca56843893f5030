"""The page printed when everything is up: what to open, and who to log in as."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Final

from backoffice.configuration import ROOT, Configuration

PAGES: Final = (
    ("Console", "/admin/"),
    ("Client page", "/client/"),
    ("API and GraphiQL", "/graphql/"),
    ("Health", "/health/ready"),
    ("Metrics", "/metrics"),
)


@dataclass(frozen=True)
class Answer:
    """What an address answered; status 0 means it did not."""

    status: int
    body: bytes


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """A redirect is an answer; where it leads is not asked."""


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Straight)


def ask(url: str, *, seconds: float = 5.0) -> Answer:
    """One GET, without proxies or redirects, as a browser would ask for a page. Never raises for the network."""
    try:
        with _opener.open(
            urllib.request.Request(url, headers={"Accept": "text/html"}), timeout=seconds
        ) as response:
            return Answer(response.status, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read())
    except OSError:
        return Answer(0, b"")


def origin(config: Configuration) -> str:
    """Where this machine reaches the web process."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.host, config.host)
    return f"http://{host}:{config.port}"


def not_ready(config: Configuration) -> list[str]:
    """Why the deployment is not ready yet, a sentence each; empty when it is."""
    answer = ask(f"{origin(config)}/health/ready")
    if answer.status == 200:
        reasons = []
    elif answer.status == 503:
        checks = json.loads(answer.body)["checks"]
        reasons = [check["reason"] for check in checks.values() if not check["ok"]]
    else:
        reasons = [f"The web process does not answer on port {config.port}."]
    if config.is_simulated and not reasons:
        simulator = f"http://127.0.0.1:{config.deriv_sim_port}/simulator/health"
        if ask(simulator).status != 200:
            reasons.append("The Deriv simulator does not answer.")
    custodian = f"{config.custodian_address}/simulator/health"
    if config.is_custodian_simulated and not reasons and ask(custodian).status != 200:
        reasons.append("The custodian simulator does not answer.")
    return reasons


def log_ins() -> list[dict[str, str]]:
    """The demo log-ins, from the same file the demo data is made of; empty if there is none."""
    try:
        found = json.loads((ROOT / "fixtures" / "demo.json").read_text())
    except FileNotFoundError:
        return []
    return list(found.get("logins", []))


def page(config: Configuration, seconds: float) -> str:
    """The text to print. Only addresses that answer are listed."""
    shown = config.public_url or f"http://localhost:{config.port}"
    lines = ["", f"Nexus Back Office is up ({seconds:.1f} s).", ""]
    for what, path in PAGES:
        if ask(origin(config) + path).status not in (0, 404):
            lines.append(f"  {what:<18} {shown}{path}")
    if config.is_simulated:
        lines.append(f"  {'Deriv simulator':<18} ws://localhost:{config.deriv_sim_port}/websockets/v3")
    if config.is_custodian_simulated:
        lines.append(f"  {'Custodian':<18} {config.custodian_address}/v1/")
    if config.demo and (people := log_ins()):
        lines += ["", "  Demo log-ins:"]
        lines += [f"  {one['what']:<18} {one['email']}   {one['password']}" for one in people]
    return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])
