// Menus are popovers; this adds arrow keys, and the small helpers that live in them.
import { text } from "./page.js";
import { toast } from "./toast.js";

const items = (menu) => [...menu.querySelectorAll("a, button")].filter((each) => each.offsetParent);

async function copy(words) {
  await navigator.clipboard?.writeText(words);
  toast(text("copied"), { lasts: 3000 });
}

export function startMenus() {
  document.addEventListener("toggle", ({ target, newState }) => {
    if (target.matches?.(".menu") && newState === "open") items(target)[0]?.focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.(".menu:popover-open");
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!menu || !step) return;
    event.preventDefault();
    const all = items(menu);
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length]?.focus();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-copy]");
    if (link) {
      event.preventDefault();
      link.closest("[popover]")?.hidePopover();
      copy(link.href);
    }
    const from = event.target.closest("[data-copy-from]");
    if (from) copy(document.getElementById(from.dataset.copyFrom).value);
  });
  document.querySelectorAll("[data-copy-from]").forEach((button) => (button.hidden = !navigator.clipboard));
}
