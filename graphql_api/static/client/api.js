// The public API, as a client app uses it: tokens kept and renewed, one socket, subscriptions that resume.
"use strict";

const api = (() => {
  // Staff who look as a client bring a token of minutes with the page; it is kept nowhere.
  const looking = document.body.dataset.token;
  const kept = looking ? { access: looking } : JSON.parse(sessionStorage.getItem("tokens") || "null") || {};

  function keep(tokens) {
    Object.assign(kept, { access: tokens.accessToken, refresh: tokens.refreshToken });
    sessionStorage.setItem("tokens", JSON.stringify(kept));
  }

  function forget() {
    delete kept.access;
    delete kept.refresh;
    sessionStorage.removeItem("tokens");
  }

  // Everything asked is registered with the server: only its id travels, and the server need not read it again.
  const documents = JSON.parse(document.body.dataset.documents);

  async function post(name, variables) {
    const headers = { "Content-Type": "application/json" };
    if (kept.access) headers.Authorization = `Bearer ${kept.access}`;
    const answer = await fetch("/graphql/", { method: "POST", headers, body: JSON.stringify({ documentId: documents[name], variables }) });
    return answer.json();
  }

  const codeOf = (answer) =>
    (answer.errors && answer.errors[0].extensions && answer.errors[0].extensions.code) ||
    Object.values(answer.data || {}).map((value) => value && value.code)[0];

  let renewing = null; // one renewal for all who need it: a refresh token is good once
  function renew() {
    renewing ||= post("RefreshToken", { token: kept.refresh })
      .then((answer) => {
        const tokens = answer.data && answer.data.refreshToken;
        if (!tokens || tokens.code) throw new Error("Log in again.");
        keep(tokens);
      })
      .finally(() => { renewing = null; });
    return renewing;
  }

  // The one field asked for; a problem of the union is returned like any other answer.
  async function ask(name, variables = {}) {
    let answer = await post(name, variables);
    if (codeOf(answer) === "TOKEN_EXPIRED" && kept.refresh) {
      await renew();
      answer = await post(name, variables);
    }
    if (answer.errors) throw Object.assign(new Error(answer.errors[0].message), { code: codeOf(answer) });
    return Object.values(answer.data)[0];
  }

  // A subscription that comes back by itself; `variables()` says where to resume. Returns how to stop it.
  function follow(name, variables, onNext, onLink) {
    let stopped = false, socket = null, pause = 500;
    function open() {
      socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/graphql/", "graphql-transport-ws");
      const say = (message) => socket.send(JSON.stringify(message));
      socket.onopen = () => say({ type: "connection_init", payload: { authorization: `Bearer ${kept.access}` } });
      socket.onmessage = (event) => {
        const message = JSON.parse(event.data);
        if (message.type === "connection_ack") {
          pause = 500;
          onLink(true);
          say({ id: "1", type: "subscribe", payload: { documentId: documents[name], variables: variables() } });
        } else if (message.type === "ping") say({ type: "pong" });
        else if (message.type === "next" && message.payload.data) onNext(Object.values(message.payload.data)[0]);
        else socket.close();
      };
      socket.onclose = async () => {
        if (stopped) return;
        onLink(false);
        await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random())));
        pause = Math.min(pause * 2, 15000);
        try { await ask("Me"); } catch { /* offline, or logged out: the next round tells */ }
        if (!stopped) open();
      };
    }
    open();
    return () => { stopped = true; if (socket) socket.close(); };
  }

  return { ask, follow, keep, forget, looking: Boolean(looking), loggedIn: () => Boolean(kept.access) };
})();
