// The keyboard. The list stands in components/shortcuts.html; single keys can be switched off there.
import { openComposer } from "./compose.js";
import { goTo, isTyping } from "./page.js";

const OFF = "keys-off";
const PLACES = { h: "/", c: "/communities", p: "/people", o: "/organisation", s: "/saved", n: "/notifications" };
const CHORD_MS = 1200;
let chord = 0;

const posts = () => [...document.querySelectorAll("main .post:not(.tombstone)")].filter((each) => each.offsetParent);
const here = () => document.activeElement?.closest(".post") ?? document.querySelector(".post.is-here");

function move(step) {
  const all = posts();
  const current = here();
  let next = all[all.indexOf(current) + step];
  if (!current) next = all.find((each) => each.getBoundingClientRect().bottom > 80);
  if (!next) return;
  document.querySelectorAll(".post.is-here").forEach((each) => each.classList.remove("is-here"));
  next.classList.add("is-here");
  goTo(next);
}

const press = (selector) => here()?.querySelector(selector)?.click();

export function showShortcuts() {
  const dialog = document.getElementById("shortcuts");
  if (dialog && !dialog.open) dialog.showModal();
}

const ACTS = {
  j: () => move(1),
  k: () => move(-1),
  o: () => press(".permalink"),
  r: () => press("[data-key=reply]"),
  l: () => press("[data-key=react]"),
  b: () => press("[data-key=save]"),
  n: openComposer,
  "/": () => document.getElementById("q")?.focus(),
  "?": showShortcuts,
};

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (localStorage.getItem(OFF) || document.querySelector("dialog[open], :popover-open")) return;
    const place = Date.now() - chord < CHORD_MS && PLACES[event.key];
    chord = event.key === "g" ? Date.now() : 0;
    const act = place ? () => location.assign(place) : ACTS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("click", (event) => event.target.closest("[data-shortcuts]") && showShortcuts());
  const choice = document.querySelector("[data-keys-on]");
  if (!choice) return;
  choice.checked = !localStorage.getItem(OFF);
  choice.addEventListener("change", () => (choice.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
}
