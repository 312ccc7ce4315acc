// Destructive acts wait ten seconds before they are sent; leaving the page sends them at once. Without script the link asks first.
import { post, text, token } from "./page.js";
import { toast } from "./toast.js";

const WAIT_MS = 10_000;
const waiting = new Set();

function start(element) {
  const isForm = element.matches("form");
  const body = isForm ? new FormData(element) : new URLSearchParams({ csrf_token: token() });
  const row = element.dataset.undoable === "left" ? null : (document.querySelector(element.dataset.hide || "#none") ?? element.closest("li"));
  const after = row?.nextElementSibling;
  const url = isForm ? element.getAttribute("action") : element.pathname;
  element.closest("[popover]")?.hidePopover();
  if (row) row.hidden = true;
  else element.inert = true;
  const restore = () => {
    if (row) row.hidden = false;
    element.inert = false;
  };
  let close = () => {};
  const send = async () => {
    clearTimeout(timer);
    waiting.delete(send);
    close();
    const answer = await post(url, body).catch(() => null);
    if (answer?.ok) {
      if (!row || !isForm) finish(row);
      else row.remove();
    } else {
      restore();
      toast(text("failed"), { bad: true });
    }
  };
  const timer = setTimeout(send, WAIT_MS);
  waiting.add(send);
  close = toast(text(element.dataset.undoable), {
    action: text("undo"),
    lasts: WAIT_MS,
    focus: true,
    onAction: () => {
      clearTimeout(timer);
      waiting.delete(send);
      restore();
      (row ?? element).querySelector("a, button")?.focus();
    },
  });
  after?.matches("[tabindex]") && after.classList.add("is-here");
}

// A post in a thread leaves its place marked; the page knows how. Elsewhere the row simply stays away.
function finish(row) {
  if (row && !row.closest(".thread")) row.remove();
  else location.reload();
}

export function startUndo() {
  const act = (event) => {
    const element = event.target.closest("[data-undoable]");
    if (!element || (event.type === "click" && !element.matches("a"))) return;
    event.preventDefault();
    start(element);
  };
  document.addEventListener("click", act);
  document.addEventListener("submit", act);
  addEventListener("pagehide", () => waiting.forEach((send) => send()));
}
