// Keys for lists and records, and the sheet that names them. Nothing here changes anything.
(function () {
  const KEYS = [
    ["Ctrl K", "Find a client, trade, reference or page"],
    ["/", "Search this list"],
    ["J", "Next row"],
    ["K", "Row before"],
    ["Enter", "Open the row"],
    ["E", "Edit this record"],
    ["Ctrl E", "Dark or light"],
    ["Esc", "Close a dialog"],
    ["?", "This sheet"],
  ];

  const typing = (target) =>
    target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
  const rows = () => [...document.querySelectorAll("#result_list tr.data-row")];
  const current = () => document.querySelector("#result_list tr.c-current");

  // The link to the row's own page; links to what it names have a class of their own.
  const own = (row) => row?.querySelector("a:not(.c-link)") || row?.querySelector("a");

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(current());
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    current()?.classList.remove("c-current");
    next.classList.add("c-current");
    next.scrollIntoView({ block: "nearest" });
    own(next)?.focus({ preventScroll: true });
  }

  function open() {
    const link = own(current());
    if (link) window.location = link.href;
  }

  function sheet() {
    let shown = document.getElementById("c-keys");
    if (!shown) {
      shown = document.createElement("dialog");
      shown.id = "c-keys";
      shown.innerHTML =
        "<h2>Keys</h2><dl>" +
        KEYS.map(([key, what]) => `<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`).join("") +
        '</dl><form method="dialog"><button class="c-button">Close</button></form>';
      document.body.append(shown);
    }
    shown.open ? shown.close() : shown.showModal();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey && event.key === "k" && typing(event.target)) {
      event.preventDefault();
      window.dispatchEvent(new CustomEvent("opencommand"));
      return;
    }
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const dialog = document.getElementById("modal-content");
    if (dialog && dialog.offsetParent !== null && event.key !== "?") return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "Enter" && current() && event.target.tagName !== "A") open();
    else if (event.key === "e") document.querySelector('[data-key="e"]')?.click();
    else if (event.key === "?") sheet();
  });

  document.addEventListener("click", (event) => {
    const chosen = event.target.closest?.("[data-email]");
    if (!chosen) return;
    document.getElementById("id_username").value = chosen.dataset.email;
    document.getElementById("id_password").value = chosen.dataset.password;
  });

  // A dialog begins at its first question.
  document.addEventListener("htmx:afterSettle", (event) => {
    event.target.querySelector?.("#dialog textarea, #dialog input:not([type=hidden])")?.focus();
  });
})();
