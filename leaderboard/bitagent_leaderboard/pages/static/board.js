// What the page does beyond being read: it copies commands, filters tables, and takes in changes of what it shows.
// Nothing of a document is ever run: a newer version of this page is parsed without scripts, and its content put in.
"use strict";

const root = new URL(document.body.dataset.root || "./", document.baseURI).href.replace(/\/$/, "");
const live = document.getElementById("live");

function address(text) {
  return text.replace("ADDRESS-OF-THIS-PAGE", root);
}

async function copy(button) {
  const text = address(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // without https there is no clipboard: the browser's own copying takes a selection
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  live.textContent = "The command is copied.";
}

function addFilter(table) {
  const body = table.tBodies[0];
  if (body.rows.length < 8) return;
  const label = document.createElement("label");
  const input = document.createElement("input");
  label.className = "filter";
  input.type = "search";
  label.append(`Filter these ${table.dataset.filter} `, input);
  const apply = () => {
    const searched = input.value.trim().toLowerCase();
    for (const row of body.rows) {
      const keys = [...row.querySelectorAll("[title]")].map((each) => each.title).join(" ");
      row.hidden = !`${row.textContent} ${keys}`.toLowerCase().includes(searched);
    }
  };
  input.addEventListener("input", apply);
  (table.closest(".scroll") || table).before(label);
  return { input, apply };
}

function prepare() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  for (const code of document.querySelectorAll(".command code")) code.textContent = address(code.textContent);
  return [...document.querySelectorAll("table[data-filter]")].map(addFilter).filter(Boolean);
}

let filters = prepare();

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = document.getElementById("main");
  const active = document.activeElement;
  if (main.contains(active) && active !== main && !active.matches(".filter input")) {
    setTimeout(refresh, 3000);  // somebody is at a link or button of it: it stays for the moment
    return;
  }
  const typed = filters.map((each) => each.input.value);
  const at = filters.findIndex((each) => each.input === active);
  main.replaceChildren(...document.adoptNode(fresh.getElementById("main")).childNodes);
  document.body.dataset.topics = fresh.body.dataset.topics;
  filters = prepare();
  filters.forEach((each, place) => {
    each.input.value = typed[place] || "";
    each.apply();
    if (place === at) each.input.focus();
  });
  live.textContent = `Updated at ${new Date().toLocaleTimeString()}.`;
}

function concerns(changed) {
  const topics = document.body.dataset.topics.split(" ");
  return changed.all || topics.includes("*") || changed.names.some((name) => topics.includes(name));
}

if (document.body.dataset.events && "EventSource" in window) {
  let due = null;
  let connected = false;
  const events = new EventSource(document.body.dataset.events);
  const refreshSoon = () => {
    if (due !== null) return;
    due = setTimeout(() => {
      due = null;
      refresh().catch(() => {});
    }, 500 + Math.random() * 500);  // not all readers at once
  };
  events.addEventListener("open", () => {
    if (connected) refreshSoon();  // what changed while the connection was lost was not announced here
    connected = true;
  });
  events.addEventListener("change", (event) => {
    if (concerns(JSON.parse(event.data))) refreshSoon();
  });
}
