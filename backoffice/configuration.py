"""What a deployment can set: one typed table, read from the environment once at start-up.

`docs/configuration.md` is generated from the fields below (`manage.py write_docs`), so a setting that is not
described cannot exist. Production refuses to start on anything unsafe, with a sentence on how to mend it.
"""

import secrets
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class UnsafeConfiguration(Exception):
    """Production was asked to start with settings that would put people's money or data at risk."""


class Configuration(BaseSettings):
    """Every setting of the product. The environment variable is the field's name in capitals."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", extra="ignore", env_ignore_empty=True)

    mode: Literal["demo", "production"] = Field(
        "demo",
        description="`demo` runs on one machine with demo money and the Deriv simulator; `production` refuses unsafe settings.",
    )
    debug: bool = Field(False, description="Django's debug pages. Never in production.")
    secret_key: str = Field(
        "",
        description="Signs sessions and access tokens; 50 or more random characters. Demo keeps its own in the data folder.",
    )
    field_keys: str = Field(
        "",
        description="Comma-separated keys that encrypt secrets at rest (newest first, older ones still decrypt). Demo keeps its own.",
    )
    index_key: str = Field(
        "",
        description="Key of the fingerprints by which encrypted values are found again. It is not rotated with the others. Unset: SECRET_KEY.",
    )
    data_dir: Path = Field(
        ROOT / ".data",
        description="Where embedded servers, the simulator and the demo keys keep their files.",
    )
    database_url: str = Field(
        "", description="PostgreSQL 15 or newer. Unset: an embedded server in the data folder."
    )
    database_pooled: bool = Field(
        False,
        description="DATABASE_URL leads to a pooler that gives a connection for one transaction, as PgBouncer does. The limits of time then stand in the database: see [scale.md](scale.md#through-a-pooler).",
    )
    redis_url: str = Field(
        "",
        description="Redis 6.2 or newer, `noeviction` and AOF. Unset: an embedded server in the data folder.",
    )
    host: str = Field("127.0.0.1", description="Address the web process listens on.")
    port: int = Field(8000, description="Port of console, API, health and metrics (one origin).")
    public_url: str = Field(
        "", description="The origin people use, for links in mail. Unset: `http://localhost:PORT`."
    )
    allowed_hosts: str = Field(
        "localhost,127.0.0.1", description="Comma-separated host names the web process answers to."
    )
    cors_origins: str = Field(
        "", description="Comma-separated origins of client apps that may call the API from a browser."
    )
    client_url: str = Field(
        "",
        description="Where links in mail lead: the client app's address. Unset: the reference client's, below PUBLIC_URL.",
    )
    email_url: str = Field(
        "",
        description="Mail server, as `smtps://user:password@host:465`, `smtp+tls://…:587` or `smtp://…:25`. Unset, in demo only: mail is written into the data folder.",
    )
    email_from: str = Field("Nexus <no-reply@localhost>", description="The sender of all mail.")
    confirm_email: bool | None = Field(
        None,
        description="Whoever signs up confirms the e-mail address before logging in, and is not told whether it is known. Unset: on in production, off in demo.",
    )
    trusted_proxies: str = Field(
        "",
        description="Comma-separated addresses or networks of the proxies in front; only theirs is an `X-Forwarded-For` believed. Required in production.",
    )
    rate_limits: str = Field(
        "",
        description="Other limits than those in [api.md](api.md#limits), as `log_in_address=100/600` (tries in seconds), comma-separated; or `off`, never in production.",
    )
    sockets_per_address: int = Field(
        200, description="WebSockets that one address may hold at a web process."
    )
    sockets_per_user: int = Field(20, description="WebSockets that one user may hold at a web process.")
    demo_opening_balance: Decimal = Field(
        Decimal("10000.00"), description="Opening balance of a new demo account, in USD."
    )
    demo_account_at_sign_up: bool = Field(
        True, description="Open one demo account for every new client, where the venue is the simulator."
    )
    demo_traders: bool = Field(
        True, description="In demo mode, demo clients trade by themselves so that the console is alive."
    )
    company_name: str = Field("Nexus Back Office", description="Who issues clients' statements.")
    suspense_days: int = Field(
        5,
        ge=0,
        description="How many days money may wait in suspense before the invariant about it is broken.",
    )
    quote_seconds: int = Field(
        30, ge=1, le=3600, description="How long a client may use the rate they were quoted."
    )
    exchange_rate_hours: int = Field(
        24, ge=1, description="An exchange rate older than this is not quoted any more."
    )
    stripe_secret_key: str = Field(
        "", description="Secret key of our Stripe account. Unset: there are no deposits by card."
    )
    stripe_publishable_key: str = Field(
        "", description="Publishable key of the same account, for the client app's card form."
    )
    stripe_webhook_secret: str = Field(
        "",
        description="Signing secret of the webhook at `PUBLIC_URL/hooks/stripe/`. Unset: there are no deposits by card.",
    )
    stripe_currencies: str = Field(
        "USD,EUR,GBP", description="Comma-separated currencies in which cards are taken."
    )
    stripe_url: str = Field("", description="Address of Stripe's API, without a path. Unset: Stripe's own.")
    paypal_client_id: str = Field(
        "", description="Client id of our PayPal application. Unset: PayPal is not offered."
    )
    paypal_secret: str = Field("", description="Secret of the same application.")
    paypal_webhook_id: str = Field(
        "",
        description="Id that PayPal gave the webhook at `PUBLIC_URL/hooks/paypal/`. Unset: PayPal is not offered.",
    )
    paypal_currencies: str = Field(
        "USD,EUR,GBP", description="Comma-separated currencies that PayPal takes for us."
    )
    paypal_url: str = Field(
        "",
        description="Address of PayPal's API, without a path (that of the sandbox is at `api-m.sandbox.paypal.com`). Unset: PayPal's own.",
    )
    deriv_url: str = Field("", description="WebSocket address of Deriv's v3 API. Unset: see DERIV_REST_URL.")
    deriv_app_id: int = Field(1089, description="The application id sent to Deriv's v3 API.")
    deriv_rest_url: str = Field(
        "",
        description="Address of Deriv's v4 API, without a path. With this and DERIV_URL unset, the venue is the simulator.",
    )
    deriv_v4_app_id: str = Field("1089", description="The application id sent to Deriv's v4 API.")
    deriv_app_markup_rate: Decimal = Field(
        Decimal(0),
        ge=0,
        le=Decimal("0.03"),
        description="The markup registered with Deriv for our applications, as a share of the payout (0.02 is 2 %).",
    )
    deriv_agent_id: int = Field(
        0, description="Our number as a payment agent of Deriv's. Unset: accounts cannot be funded."
    )
    deriv_agent_token: str = Field("", description="Token of the payment agent, with the scope `payment`.")
    deriv_owner_token: str = Field(
        "",
        description="Token of the person our applications are registered to, for the venue's reports of our markup.",
    )
    deriv_oauth_url: str = Field(
        "",
        description="Address of the venue's OAuth2 server, without a path. Unset: the simulator's, or Deriv's where DERIV_URL or DERIV_REST_URL is set.",
    )
    deriv_redirect_urls: str = Field(
        "",
        description="Comma-separated addresses that clients may be sent back to after linking a Deriv account. Unset: in demo the reference client's; in production nobody can link by signing in.",
    )
    deriv_generation: Literal["v3", "v4"] = Field(
        "v4", description="The protocol generation that new accounts and the public prices speak."
    )
    deriv_sim_port: int = Field(8765, description="Port of the Deriv simulator.")
    deriv_sim_speed: float = Field(
        1.0, description="How many times faster than Deriv the simulator ticks (tests use more than 1)."
    )
    deriv_sim_seed: int = Field(1, description="Seed of the simulator's prices.")
    custodian_url: str = Field(
        "",
        description="Address of the custodian of coins, without a path. Unset: in demo the simulator; in production there is no crypto.",
    )
    custodian_token: str = Field("", description="Token that the custodian knows us by.")
    custodian_timeout_seconds: float = Field(
        10.0, gt=0, description="How long the custodian's answer is waited for before it is *lost*."
    )
    custodian_sim_port: int = Field(8766, description="Port of the custodian simulator.")
    custodian_sim_block_seconds: float = Field(
        3.0, ge=0, description="Seconds between two blocks at the custodian simulator."
    )
    access_token_minutes: int = Field(60, description="How long an access token is good for.")
    refresh_token_days: int = Field(7, description="How long a refresh token is good for; each is used once.")
    staff_second_factor: bool | None = Field(
        None,
        description="Whether staff must show a second factor (TOTP) to enter the console. Unset: in production yes, in demo no. Production does not start without.",
    )
    staff_idle_minutes: int = Field(
        30, ge=1, description="A session of the console ends after this long without a page."
    )
    staff_session_hours: int = Field(
        10, ge=1, description="A session of the console ends this long after the log-in, whatever is done."
    )
    staff_elevation_minutes: int = Field(
        10,
        ge=1,
        description="How long the most sensitive actions stay open after staff proved themselves again.",
    )
    staff_lock_failures: int = Field(
        8, ge=3, description="Failed log-ins in a row after which a member of staff is locked out."
    )
    staff_lock_minutes: int = Field(
        60, ge=1, description="How long a member of staff stays locked out, unless an administrator lifts it."
    )
    view_as_minutes: int = Field(
        15, ge=1, description="How long a member of staff may look at the client app as a client sees it."
    )
    access_log_months: int = Field(
        84, ge=12, description="How many months the log of who looked at which client is kept."
    )
    graphql_introspection: bool | None = Field(
        None, description="Schema introspection and GraphiQL. Unset: on in demo, off in production."
    )
    graphql_documents: Path | None = Field(
        None, description="Folder of further registered documents, one `.graphql` file each."
    )
    graphql_persisted_only: bool = Field(
        False, description="Answer registered documents alone, asked for by their id."
    )
    metrics_token: str = Field("", description="Bearer token `/metrics` asks for. Required in production.")
    log_format: Literal["json", "text"] = Field(
        "json", description="One JSON object per line, or text for a person."
    )
    log_level: str = Field("INFO", description="Least severe level that is logged.")
    worker_processes: int = Field(1, description="Dramatiq worker processes.")
    worker_threads: int = Field(6, description="Threads in each worker process.")
    venue_timeout_seconds: float = Field(
        10.0, description="How long an actor waits for the venue's answer before a purchase is *uncertain*."
    )

    @property
    def demo(self) -> bool:
        return self.mode == "demo"

    @property
    def hosts(self) -> list[str]:
        return [host.strip() for host in self.allowed_hosts.split(",") if host.strip()]

    @property
    def origins(self) -> list[str]:
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def is_simulated(self) -> bool:
        """Whether the venue is our own simulator: no address of Deriv's is set."""
        return not (self.deriv_url or self.deriv_rest_url)

    @property
    def is_custodian_simulated(self) -> bool:
        """Whether the custodian of coins is our own simulator."""
        return self.demo and not self.custodian_url

    @property
    def custodian_address(self) -> str:
        """Where the custodian answers; empty where there is none."""
        if self.is_custodian_simulated:
            return f"http://127.0.0.1:{self.custodian_sim_port}"
        return self.custodian_url.rstrip("/")

    @property
    def venue_url(self) -> str:
        """Where Deriv's v3 API answers: at Deriv, or on this machine where the venue is the simulator."""
        if self.is_simulated:
            return f"ws://127.0.0.1:{self.deriv_sim_port}/websockets/v3"
        return self.deriv_url or "wss://ws.derivws.com/websockets/v3"

    @property
    def venue_rest_url(self) -> str:
        """Where Deriv's v4 API answers: at Deriv, or on this machine where the venue is the simulator."""
        if self.is_simulated:
            return f"http://127.0.0.1:{self.deriv_sim_port}"
        return self.deriv_rest_url or "https://api.derivws.com"

    @property
    def venue_oauth_url(self) -> str:
        """Where a venue's user lets us in: at Deriv, or on this machine where the venue is the simulator."""
        return self.deriv_oauth_url or (
            self.venue_rest_url if self.is_simulated else "https://oauth.deriv.com"
        )

    @property
    def redirect_urls(self) -> list[str]:
        """The addresses that a venue's user may be sent back to, each to the letter."""
        return [url.strip() for url in self.deriv_redirect_urls.split(",") if url.strip()]

    def dangers(self) -> list[str]:
        """What would be unsafe in production, a sentence each, saying how to mend it."""
        found = []
        if self.debug:
            found.append("DEBUG is on: debug pages show secrets to strangers. Unset it.")
        if len(self.secret_key) < 50:
            found.append(
                "SECRET_KEY is missing or shorter than 50 characters. Set one of 50 or more random characters."
            )
        if not self.field_keys:
            found.append(
                "FIELD_KEYS is missing: venue tokens could not be encrypted. Set one made by `manage.py make_key`."
            )
        if not self.database_url:
            found.append(
                "DATABASE_URL is missing: the embedded PostgreSQL is for demos. Point it at a server that is backed up."
            )
        if not self.redis_url:
            found.append(
                "REDIS_URL is missing: the embedded Redis is for demos. Point it at one with AOF and noeviction."
            )
        if "*" in self.hosts:
            found.append(
                "ALLOWED_HOSTS contains '*': links in mail could be forged. List the host names you serve."
            )
        if "*" in self.origins:
            found.append(
                "CORS_ORIGINS contains '*': any page could call the API. List the origins of your apps."
            )
        if not self.public_url.startswith("https://"):
            found.append(
                "PUBLIC_URL is not https: sessions could be read on the way. Set it to the https origin people use."
            )
        if self.is_simulated:
            found.append(
                "DERIV_URL and DERIV_REST_URL are missing: production must not trade on the simulator. Set Deriv's address."
            )
        if self.custodian_url and not (self.custodian_url.startswith("https://") and self.custodian_token):
            found.append(
                "CUSTODIAN_URL is not https, or CUSTODIAN_TOKEN is missing: others could have coins paid out. Set both."
            )
        if not all(url.startswith("https://") for url in self.redirect_urls):
            found.append(
                "DERIV_REDIRECT_URLS has an address that is not https: codes could be read on the way. List https addresses."
            )
        if not self.email_url:
            found.append(
                "EMAIL_URL is missing: nobody could confirm an address or reset a password. Set a mail server."
            )
        if not self.trusted_proxies:
            found.append(
                "TRUSTED_PROXIES is missing: all callers would look like the proxy in front, and share its limits. List its addresses."
            )
        if self.rate_limits.strip() == "off":
            found.append(
                "RATE_LIMITS is off: passwords could be guessed as fast as they are typed. Unset it."
            )
        if self.staff_second_factor is False:
            found.append("STAFF_SECOND_FACTOR is off: a stolen password would open the console. Unset it.")
        if not self.metrics_token:
            found.append(
                "METRICS_TOKEN is missing: anyone could read the metrics. Set one and give it to the scraper."
            )
        return found


def _kept(path: Path, make: int) -> str:
    """A secret kept in the data folder, so that demo sessions outlive a restart."""
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        value = secrets.token_urlsafe(make)
        try:
            with path.open("x") as file:
                path.chmod(0o600)
                file.write(value)
        except FileExistsError:
            return path.read_text()
        return value


@lru_cache(maxsize=1)
def configuration() -> Configuration:
    """The settings of this process.

    :raises UnsafeConfiguration: if production would start unsafe; the message lists every reason.
    """
    found = Configuration()
    if not found.demo and (dangers := found.dangers()):
        raise UnsafeConfiguration("Not starting in production:\n- " + "\n- ".join(dangers))
    if found.demo:
        found.secret_key = found.secret_key or _kept(found.data_dir / "secret_key", 48)
        found.field_keys = found.field_keys or _kept(found.data_dir / "field_key", 32)
    found.index_key = found.index_key or found.secret_key
    if found.confirm_email is None:
        found.confirm_email = not found.demo
    found.public_url = found.public_url or f"http://localhost:{found.port}"
    found.client_url = found.client_url or f"{found.public_url}/client/"
    if found.demo and not found.deriv_redirect_urls:
        here = (found.public_url, f"http://localhost:{found.port}", f"http://127.0.0.1:{found.port}")
        found.deriv_redirect_urls = ",".join(f"{origin}/client/" for origin in dict.fromkeys(here))
    if found.staff_second_factor is None:
        found.staff_second_factor = not found.demo
    if found.graphql_introspection is None:
        found.graphql_introspection = found.demo
    return found
