// The browser side. Every page works by link and form; what starts here only spares reloads and shows what happens elsewhere.
import "htmx.org";
import { startAnnouncements } from "./js/announcements.js";
import { startChart } from "./js/chart.js";
import { startCommands } from "./js/commands.js";
import { startCompose } from "./js/compose.js";
import { startCost } from "./js/cost.js";
import { startDrafts } from "./js/drafts.js";
import { startFinder } from "./js/finder.js";
import { startKeys } from "./js/keys.js";
import { startLive } from "./js/live.js";
import { startMenus } from "./js/menu.js";
import { startPush } from "./js/push.js";
import { startRequests } from "./js/requests.js";
import { startServerDrafts } from "./js/serverdrafts.js";
import { startTime } from "./js/time.js";
import { startToasts } from "./js/toast.js";
import { startUndo } from "./js/undo.js";

for (const start of [startRequests, startToasts, startMenus, startFinder, startCommands, startDrafts, startServerDrafts, startCompose, startUndo, startKeys, startChart, startTime, startAnnouncements, startLive, startCost, startPush]) {
  start();
}
for (const tabs of document.querySelectorAll(".tabs")) {
  const current = tabs.querySelector("[aria-current]")?.getBoundingClientRect();
  const frame = tabs.getBoundingClientRect();
  if (current) tabs.scrollLeft += current.left + current.width / 2 - frame.left - frame.width / 2;
}
document.querySelector("[data-focus]")?.focus();
