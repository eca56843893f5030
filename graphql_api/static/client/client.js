// The page: a door (sign up, log in) and a floor (place a trade, watch it live).
"use strict";

const $ = (selector) => document.querySelector(selector);
const STATES = { QUEUED: "queued", SUBMITTING: "buying", UNCERTAIN: "being checked", OPEN: "open", WON: "won", LOST: "lost",
  SOLD: "sold", REFUNDED: "refunded", DENIED: "denied", REJECTED: "rejected", WITHDRAWN: "withdrawn", NEVER_PLACED: "not placed" };
const trades = new Map();
let cursor = null, stopFollowing = null, account = null, offerTimer = 0, questions = 0;

const money = (value) => value ? Number(value.amount).toLocaleString("en", { minimumFractionDigits: 2 }) : "";
const key = () => `web-${crypto.randomUUID ? crypto.randomUUID() : Date.now() + "-" + Math.random()}`;
const values = (form) => Object.fromEntries(new FormData(form));

function problem(form, answer) {
  form.querySelector(".problem").textContent = answer ? answer.message : "";
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  const wrong = answer && answer.field && form.elements.namedItem(answer.field);
  if (wrong && wrong.setAttribute) { wrong.setAttribute("aria-invalid", "true"); wrong.focus(); }
}

async function submit(form, work) {
  const button = form.querySelector("button");
  button.disabled = true;
  problem(form, null);
  try {
    const answer = await work(values(form));
    if (answer && answer.code) problem(form, answer);
    return answer;
  } catch (error) {
    problem(form, { message: error.message || "The service cannot be reached. Nothing was done; try again." });
  } finally {
    button.disabled = false;
  }
}

function enter(form, document, input) {
  return submit(form, async (given) => {
    const answer = await api.ask(document, input(given));
    if (answer.tokens) { api.keep(answer.tokens); await openFloor(); }
    else if (answer.message) problem(form, answer); // refused, or a mail is on its way
    return answer;
  });
}

$("#sign-up").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(event.target, "SignUp", (given) => ({ input: given }));
});
$("#log-in").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(event.target, "LogIn", (given) => given);
});
$("#forgot").addEventListener("click", async () => {
  const form = $("#log-in");
  const answer = await api.ask("RequestPasswordReset", { email: form.elements.email.value }).catch((error) => error);
  problem(form, answer);
});
$("#reset").addEventListener("submit", (event) => {
  event.preventDefault();
  submit(event.target, async (given) => {
    const answer = await api.ask("ResetPassword", { token: mailed.get("reset"), password: given.password });
    if (answer.reset) { event.target.hidden = true; problem($("#log-in"), { message: "Log in with your new password." }); }
    return answer;
  });
});

// A mailed link carries its token behind the #, which no server sees and no log keeps; it is taken out at once.
const mailed = new URLSearchParams(location.hash.slice(1));
if (mailed.has("reset") || mailed.has("verify")) history.replaceState(null, "", location.pathname);
$("#reset").hidden = !mailed.has("reset");
if (mailed.has("verify")) {
  api.ask("VerifyEmail", { token: mailed.get("verify") })
    .then((answer) => problem($("#log-in"), answer.verified ? { message: "Your address is confirmed." } : answer))
    .catch((error) => problem($("#log-in"), error));
}

$("#log-out").addEventListener("click", async () => {
  if (stopFollowing) stopFollowing();
  try { await api.ask("LogOut"); } finally {
    api.forget();
    location.reload();
  }
});

async function openFloor() {
  const me = await api.ask("Me");
  const instruments = await api.ask("Instruments");
  $("#name").textContent = me.name;
  $("#place").elements.symbol.replaceChildren(...instruments.map((row) => new Option(row.name, row.symbol, false, row.symbol === "R_100")));
  $("#door").hidden = true;
  $("#floor").hidden = $("#who").hidden = false;
  const page = await api.ask("Trades", { first: 20 });
  for (const edge of page.edges) trades.set(edge.node.id, edge.node);
  draw();
  stopFollowing = api.follow(
    "TradeChanges",
    () => ({ after: cursor }),
    (change) => {
      cursor = change.cursor;
      for (const trade of change.trades) if (!trades.has(trade.id) || trades.get(trade.id).version <= trade.version) trades.set(trade.id, trade);
      draw();
      showAccount();
    },
    (up) => { $("#link").hidden = up; $("#link").textContent = up ? "" : "Connection lost; it comes back by itself."; },
  );
  showAccount();
  comeBack();
}

async function showAccount() {
  const rows = await api.ask("TradingAccounts");
  drawAccounts(rows);
  account = rows.find((row) => row.isDefault) || rows[0];
  if (!account) return;
  $("#login").textContent = account.loginId ? `${account.kind} ${account.loginId}` : "demo account";
  $("#balance").textContent = account.state === "active" ? `${money(account.balance)} ${account.currency}` : "";
  $("#held").textContent = account.state !== "active" ? account.why : Number(account.held.amount) ? `${money(account.held)} held` : "";
  $("#place").querySelector("button").disabled = account.state !== "active";
  if (rows.some((row) => row.state === "opening")) setTimeout(showAccount, 500);
  if (account.state !== "active") return;
  if (!api.looking && !$("#offer").textContent) askPrice();
}

function drawAccounts(rows) {
  $("#accounts").replaceChildren(...rows.map((row) => {
    const item = document.createElement("li");
    const add = (tag, text, className = "") => Object.assign(item.appendChild(document.createElement(tag)), { textContent: text, className });
    item.dataset.login = row.loginId || "";
    item.dataset.state = row.state;
    add("strong", row.kind === "real" ? "Real" : "Demo");
    add("span", row.loginId || "");
    add("span", row.state, `badge ${row.state}`);
    add("span", `${money(row.balance)} ${row.currency}`, "number");
    if (row.state !== "active") add("small", row.why);
    if (row.isDefault) add("small", "Used for your trades");
    else if (row.state === "active" && !api.looking) add("button", "Use this one", "quiet").addEventListener("click", () => useAccount(row));
    return item;
  }));
}

async function useAccount(row) {
  const answer = await api.ask("SetDefaultAccount", { id: row.id });
  $("#link-problem").textContent = answer.code ? answer.message : "";
  await showAccount();
}

$("#link-deriv").addEventListener("click", async (event) => {
  event.target.disabled = true;
  const answer = await api.ask("BeginDerivLink",
    { input: { redirectUrl: location.origin + location.pathname } }).catch((error) => ({ code: "ERROR", message: error.message }));
  event.target.disabled = false;
  $("#link-problem").textContent = answer.code ? answer.message : "";
  if (answer.url) location.assign(answer.url);
});

// Back from Deriv: what the address carries is good once, so it is taken out of the address at once.
async function comeBack() {
  const brought = new URLSearchParams(location.search);
  if (!brought.has("state")) return;
  history.replaceState(null, "", location.pathname);
  if (!brought.has("code")) { $("#link-problem").textContent = "Deriv linked nothing: you said no there."; return; }
  $("#linked").textContent = "Linking your accounts…";
  const answer = await api.ask("CompleteDerivLink",
    { input: { state: brought.get("state"), code: brought.get("code") } }).catch((error) => ({ code: "ERROR", message: error.message }));
  $("#link-problem").textContent = answer.code ? answer.message : "";
  $("#linked").textContent = answer.code ? "" : [`Linked: ${answer.accounts.map((row) => row.loginId).join(", ")}.`, ...answer.skipped].join(" ");
  await showAccount();
}

function askPrice() {
  clearTimeout(offerTimer);
  // Answers may overtake each other: only the one to the last question is shown.
  const mine = ++questions;
  offerTimer = setTimeout(async () => {
    const { symbol, side, stake, duration, durationUnit } = values($("#place"));
    const answer = await api.ask("Proposal",
      { input: { symbol, side, stake, duration: Number(duration), durationUnit } },
    ).catch((error) => error);
    if (mine !== questions) return;
    $("#offer").textContent = answer.payout ? `Pays ${money(answer.payout)} ${answer.payout.currency} if right. Price now ${answer.spot}.` : answer.message;
  }, 250);
}
$("#place").addEventListener("input", askPrice);

$("#place").addEventListener("submit", (event) => {
  event.preventDefault();
  submit(event.target, async ({ symbol, side, stake, duration, durationUnit }) => {
    const input = { symbol, side, stake, duration: Number(duration), durationUnit, key: key() };
    const answer = await api.ask("PlaceTrade", { input });
    if (answer.trade) { trades.set(answer.trade.id, answer.trade); draw(); }
    return answer;
  });
});

async function sell(trade, button) {
  button.disabled = true;
  const answer = await api.ask("SellTrade", { id: trade.id, key: key() });
  if (answer.code) $("#place .problem").textContent = answer.message;
}

function cell(row, text, className = "") {
  const made = row.insertCell();
  made.textContent = text;
  made.className = className;
  return made;
}

function draw() {
  const rows = [...trades.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, 20);
  $("#empty").hidden = rows.length > 0;
  $("#trades").replaceChildren(...rows.map((trade) => {
    const row = document.createElement("tr");
    row.dataset.id = trade.id;
    row.dataset.state = trade.state;
    const placed = cell(row, new Date(trade.placedAt).toLocaleTimeString());
    placed.title = trade.placedAt;
    cell(row, `${trade.side === "CALL" ? "Rise" : "Fall"} ${trade.instrument.name}, ${trade.duration} ${trade.durationUnit.toLowerCase()}`);
    cell(row, money(trade.stake), "number");
    const state = cell(row, "", "");
    const badge = state.appendChild(document.createElement("span"));
    badge.className = `badge ${trade.state.toLowerCase()}`;
    badge.textContent = STATES[trade.state];
    state.title = trade.why;
    cell(row, trade.profit ? (Number(trade.profit.amount) > 0 ? "+" : "") + money(trade.profit) : "", `number ${trade.profit && Number(trade.profit.amount) >= 0 ? "up" : "down"}`);
    const action = row.insertCell();
    if (!api.looking && trade.state === "OPEN" && trade.durationUnit !== "TICKS") {
      const button = action.appendChild(document.createElement("button"));
      button.type = "button";
      button.className = "quiet";
      button.textContent = "Sell now";
      button.addEventListener("click", () => sell(trade, button));
    } else if (trade.problem) { action.textContent = trade.problem; action.className = "note"; }
    return row;
  }));
}

if (api.looking) {
  // Nothing can be changed by looking, so nothing offers to; when the time is over the page leads back.
  for (const id of ["#place", "#link-deriv", "#log-out"]) $(id).classList.add("away");
  setTimeout(() => location.reload(), Math.max(0, new Date(document.body.dataset.until) - Date.now()));
}
if (api.loggedIn()) openFloor().catch(() => { if (!api.looking) { api.forget(); location.reload(); } });
