// Times of the last hour grow older while one reads.
import { number, text } from "./page.js";

const HOUR_MS = 3_600_000;
const zone = document.body.dataset.zone || "UTC";

function refresh() {
  for (const element of document.querySelectorAll("time[title]")) {
    const age = Date.now() - Date.parse(element.dateTime);
    if (!(age >= 0 && age < HOUR_MS + 120_000)) continue;
    const minutes = Math.floor(age / 60_000);
    if (minutes >= 60) element.textContent = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short", timeZone: zone }).format(new Date(element.dateTime));
    else element.textContent = minutes ? text("minutes", { count: number(minutes) }) : text("now");
  }
}

export function startTime() {
  setInterval(refresh, 30_000);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}
