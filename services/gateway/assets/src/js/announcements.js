// What was in view is told to the server in batches, and an announcement's counts change while its author looks on.
//
// Shown: at least half of the text (of a text taller than the window: half of the window) was in view for a second, in a page that was
// itself in view.
import { number, post } from "./page.js";

const IN_VIEW_MS = 1000;
const BATCH_MS = 2000;
const HALF = 0.5;

const told = new Set();
const timers = new Map();
let waiting = [];
let sending = 0;

function send() {
  clearTimeout(sending);
  sending = 0;
  if (!waiting.length) return;
  const body = new URLSearchParams({ shown: JSON.stringify(waiting.splice(0, 100)) });
  post("/announcements/shown", body).catch(() => {});
}

function shown(marker) {
  const { announcement: id, version } = marker.dataset;
  const key = `${id} ${version}`;
  if (told.has(key)) return;
  told.add(key);
  waiting.push([id, Number(version)]);
  sending ||= setTimeout(send, BATCH_MS);
}

function seen(entries) {
  for (const { target, intersectionRatio, intersectionRect } of entries) {
    const inView = intersectionRatio >= HALF || intersectionRect.height >= innerHeight * HALF;
    if (!inView || document.hidden) {
      clearTimeout(timers.get(target));
      timers.delete(target);
    } else if (!timers.has(target)) {
      timers.set(target, setTimeout(() => shown(target.closest("article").querySelector("[data-announcement]") ?? target.closest("[data-announcement]")), IN_VIEW_MS));
    }
  }
}

const observer = new IntersectionObserver(seen, { threshold: [0, 0.1, 0.2, 0.3, 0.4, 0.5] });
const watched = new WeakSet();

function watch() {
  for (const marker of document.querySelectorAll("[data-announcement]")) {
    const text = marker.closest("article")?.querySelector(".prose");
    if (!text || watched.has(text)) continue;
    watched.add(text);
    observer.observe(text);
  }
}

function show(place, reach) {
  const whole = reach.audience_count || 1;
  const share = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });
  for (const bar of place.querySelectorAll("[data-reach]")) {
    const count = reach[`${bar.dataset.reach}_count`];
    bar.querySelector("[data-reach-count]").textContent = count.toLocaleString(document.documentElement.lang);
    bar.querySelector("[data-reach-share]").textContent = share.format(count / whole);
    bar.querySelector("progress").value = count;
  }
  const wrong = place.querySelector("[data-reach-wrong]");
  if (wrong) wrong.textContent = number(reach.misinformed_count);
}

function follow(place) {
  const source = new EventSource(place.dataset.reachLive);
  source.addEventListener("reach", ({ data }) => show(place, JSON.parse(data)));
  addEventListener("pagehide", () => source.close());
}

export function startAnnouncements() {
  watch();
  document.addEventListener("htmx:after:swap", watch);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return;
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
    send();
  });
  addEventListener("pagehide", send);
  document.querySelectorAll("[data-reach-live]").forEach(follow);
}
