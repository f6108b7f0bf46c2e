// Makes the portal quicker; every page is whole without it. Links and forms of the
// portal are fetched and their page put in place of the one that is shown, parts
// marked data-live are fetched anew while they can be seen, forms marked data-preview
// are checked while somebody types, and some keys are short ways.
"use strict";

const base = new URL(document.querySelector(".side .brand").href).pathname;
const parser = new DOMParser();
let visit = 0; // the newest of the pages that were asked for
let typing; // waits until somebody stops typing

// What is shown may be no page of the portal: see replaceWhole.
const inside = url => url.origin === location.origin && url.pathname.startsWith(base) && document.getElementById("main") !== null;

// Pages

let shown = location.pathname + location.search; // without what follows #

function show(text, url, push) {
  const page = parser.parseFromString(text, "text/html");
  const next = page.getElementById("main"), y = scrollY;
  if (!next || page.querySelector('link[href*="/portal."]')?.href !== document.querySelector('link[href*="/portal."]')?.href) return false;
  if (push && url.href !== location.href) history.replaceState({y}, ""); // for the way back
  document.getElementById("main").replaceWith(document.adoptNode(next));
  const fresh = [...page.querySelectorAll(".side nav")]; // all of them first: each leaves the page when it is adopted
  document.querySelectorAll(".side nav").forEach((nav, i) => {
    if (!fresh[i]) return;
    const scroll = nav.scrollTop;
    nav.replaceWith(document.adoptNode(fresh[i]));
    fresh[i].scrollTop = scroll;
  });
  document.title = page.title;
  document.getElementById("menu").open = false;
  if (push && url.href !== location.href) history.pushState(null, "", url);
  shown = location.pathname + location.search;
  return true;
}

function settle(keep, y = 0) {
  document.dispatchEvent(new Event("wavegate:shown"));
  const main = document.getElementById("main");
  const focus = keep && document.getElementById(keep) || main.querySelector("[aria-invalid=true]") || main.querySelector("[autofocus]") || main;
  if (!keep) scrollTo(0, y);
  focus.focus({preventScroll: Boolean(keep || y) || focus === main}); // which begins below the head of a phone
}

// go fetches a page and shows it; whatever cannot be shown in place is left to the
// browser itself.
async function go(url, options = {}) {
  const mine = ++visit, main = document.getElementById("main");
  clearTimeout(typing);
  main.classList.add("busy");
  main.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, {headers: {Accept: "text/html"}, body: options.body, method: options.body ? "POST" : "GET"});
    const at = new URL(answer.url);
    at.hash = url.hash;
    const text = await answer.text();
    if (mine !== visit) return;
    const push = options.push !== false && (!options.body || answer.redirected);
    if (!inside(at) || !show(text, at, push)) {
      if (!options.body || answer.redirected) location.assign(at);
      else replaceWhole(text);
      return;
    }
    settle(options.keep, options.y);
  } catch {
    if (mine !== visit) return;
    main.classList.remove("busy");
    main.removeAttribute("aria-busy");
    if (options.body) say("The server could not be reached. Nothing is lost: send it again in a moment.");
    else location.assign(url);
  }
}

// replaceWhole shows an answer to a form that is no page of the portal.
function replaceWhole(text) {
  const page = parser.parseFromString(text, "text/html");
  document.replaceChild(document.adoptNode(page.documentElement), document.documentElement);
}

// say puts a message at the head of the page.
function say(text) {
  document.getElementById("said")?.remove();
  const note = document.createElement("p");
  note.id = "said";
  note.className = "notice warn";
  note.setAttribute("role", "alert");
  note.textContent = text;
  document.getElementById("main").prepend(note);
  note.scrollIntoView({block: "nearest"});
}

document.addEventListener("click", event => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  if (link.target || link.download || link.dataset.plain !== undefined || !inside(url)) return;
  if (url.pathname === location.pathname && url.search === location.search && url.hash) return;
  event.preventDefault();
  go(url, {keep: link.closest("[data-keep]")?.id});
});

document.addEventListener("submit", event => {
  const form = event.target, button = event.submitter;
  // Attributes, since form.action is a field where one has that name.
  const method = (form.getAttribute("method") ?? "get").toLowerCase();
  if (event.defaultPrevented || method === "dialog" || form.dataset.plain !== undefined) return;
  const url = new URL(button?.getAttribute("formaction") ?? form.getAttribute("action") ?? "", location.href);
  if (!inside(url)) return;
  event.preventDefault();
  if (form.dataset.sent) return; // a double click
  const data = new URLSearchParams(new FormData(form, button));
  if (method === "get") {
    for (const [name, value] of [...data]) if (!value) data.delete(name);
    url.search = data;
    go(url, {keep: document.activeElement?.id});
    return;
  }
  form.dataset.sent = "1";
  setTimeout(() => delete form.dataset.sent, 3000);
  go(url, {body: data});
});

addEventListener("popstate", event => { // the same page at another # is the browser's
  if (!inside(location)) location.reload();
  else if (location.pathname + location.search !== shown) go(new URL(location), {push: false, y: event.state?.y});
});

// A page that the browser kept whole may show what is no more.
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });

// A choice in a filter counts at once; its button is for those without scripts.
document.addEventListener("change", event => {
  const form = event.target.form;
  if (form?.dataset.auto !== undefined && event.target.tagName === "SELECT") form.requestSubmit();
});

// Parts that move

let rest = 0; // until when nothing is fetched: a page that takes long is fetched less often
const known = new WeakMap(); // what a part was when it was fetched last

async function refresh() {
  const parts = document.querySelectorAll("[data-live]"), begun = performance.now();
  if (!parts.length || begun < rest || document.hidden) return;
  const mine = visit;
  rest = Infinity; // one at a time
  try {
    const answer = await fetch(location.href, {headers: {Accept: "text/html", "Wavegate-Live": "1"}}); // no use of the session
    if (answer.redirected && mine === visit && !inside(new URL(answer.url))) {
      for (const part of parts) delete part.dataset.live;
      say("Your session has ended, so this page stands still. Reload it to sign in.");
    }
    if (!answer.ok || answer.redirected || mine !== visit) return;
    const page = parser.parseFromString(await answer.text(), "text/html");
    if (mine !== visit) return;
    for (const part of parts) move(part, page.getElementById(part.id));
    document.dispatchEvent(new Event("wavegate:shown"));
  } catch { /* the next time */ } finally {
    const now = performance.now();
    rest = now + 9 * (now - begun);
  }
}

// move puts what is new into a part, unless somebody is at work in it. What is
// unfolded or scrolled there stays so.
function move(part, fresh) {
  const now = fresh?.innerHTML, marked = getSelection();
  if (!fresh || known.get(part) === now || !marked.isCollapsed && marked.containsNode(part, true)) return;
  const focus = part.contains(document.activeElement) && document.activeElement;
  const fold = focus && focus.closest("details[id]");
  if (focus && !(fold && focus.matches("summary, .scroll"))) return;
  known.set(part, now);
  if (fresh.dataset.live === undefined) delete part.dataset.live; // it has come to rest
  else part.dataset.live = fresh.dataset.live;
  const scrolled = [];
  for (const open of part.querySelectorAll("details[open][id]")) {
    const same = fresh.querySelector("#" + CSS.escape(open.id));
    if (!same) continue;
    same.open = true;
    const old = open.querySelector(".scroll"), next = same.querySelector(".scroll");
    if (old && next) scrolled.push([next, old.scrollLeft, old.scrollTop]);
  }
  const again = fold && "#" + CSS.escape(fold.id) + (focus.matches("summary") ? " > summary" : " .scroll");
  part.replaceChildren(...document.adoptNode(fresh).childNodes);
  for (const [box, left, top] of scrolled) box.scrollTo(left, top);
  if (again) part.querySelector(again)?.focus({preventScroll: true});
}
setInterval(refresh, 4000);
document.addEventListener("visibilitychange", refresh);

// Forms that are checked while somebody types

document.addEventListener("input", event => {
  const form = event.target.form;
  if (form?.dataset.preview === undefined) return;
  clearTimeout(typing);
  typing = setTimeout(() => preview(form, event.target), 350);
});

async function preview(form, field) {
  const data = new URLSearchParams(new FormData(form));
  data.set("_preview", field.name);
  const mine = visit;
  try {
    const answer = await fetch(form.getAttribute("action"), {method: "POST", body: data, headers: {Accept: "text/html"}});
    if (!answer.ok || answer.redirected || mine !== visit || !form.isConnected) return;
    const page = parser.parseFromString(await answer.text(), "text/html");
    const curl = document.getElementById("curl"), fresh = page.getElementById("curl");
    if (curl && fresh) curl.textContent = fresh.textContent;
    const error = field.id && document.getElementById(field.id + "-error"), said = page.getElementById(field.id + "-error");
    if (!error || !said) return;
    error.textContent = said.textContent;
    error.hidden = said.hidden;
    field.closest(".field")?.classList.toggle("wrong", !said.hidden);
    if (said.hidden) field.removeAttribute("aria-invalid");
    else field.setAttribute("aria-invalid", "true");
  } catch { /* it is checked when it is sent */ }
}

// Small comforts of a page, again for each that is shown

let soon;
function comfort() {
  const at = new URL(location);
  if (at.searchParams.has("done")) { // it was said: not again after a reload, or from a bookmark
    at.searchParams.delete("done");
    history.replaceState(history.state, "", at);
    shown = at.pathname + at.search;
  }
  clearTimeout(soon);
  if (document.querySelector("[data-live=soon]")) soon = setTimeout(refresh, 700); // what is about to end
  for (const input of document.querySelectorAll("input[data-says]")) { // a slider says what it stands on
    const out = document.getElementById(input.dataset.says);
    const hours = n => n === 0 ? "0 hours: it ends at once" : n % 24 ? (n === 1 ? "1 hour" : n + " hours") : (n === 24 ? "1 day" : n / 24 + " days");
    const tell = () => { out.textContent = hours(Number(input.value)); };
    input.addEventListener("input", tell);
    tell();
  }
  for (const input of document.querySelectorAll("input[data-confirms]")) { // the button waits for the name
    const button = input.form.querySelector("button[type=submit]");
    const match = () => { button.disabled = input.value.trim() !== input.dataset.confirms; };
    input.addEventListener("input", match);
    match();
  }
}
document.addEventListener("wavegate:shown", comfort);
comfort();

// Keys

let prefix = 0; // when g was pressed
document.addEventListener("keydown", event => {
  const help = document.getElementById("help"), typed = event.target.closest("input, textarea, select, [contenteditable]");
  if (!help || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && typed?.type === "search") typed.blur();
  if (typed || help.open) return;
  const after = Date.now() - prefix < 1500;
  prefix = 0;
  const follow = element => { if (element) { event.preventDefault(); element.click(); } };
  if (after) {
    follow(document.querySelector(`.side nav a[data-key="${CSS.escape(event.key)}"]`));
  } else if (event.key === "g") {
    prefix = Date.now();
  } else if (event.key === "?") {
    event.preventDefault();
    help.showModal();
  } else if (event.key === "/") {
    const search = document.querySelector("main input[type=search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  } else if (event.key === "n") {
    follow(document.querySelector("main a[data-new]"));
  }
});
