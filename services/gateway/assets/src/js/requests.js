// What htmx sends and what happens when it fails: the CSRF token, reactions shown at once, and taken back if they did not last.
import { number, text, token } from "./page.js";
import { toast } from "./toast.js";

const undos = new WeakMap();

const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));

function react(form, submitter) {
  const emoji = submitter?.value;
  const chip = [...form.querySelectorAll(".chip")].find((each) => each.dataset.emoji === emoji);
  submitter?.closest("[popover]")?.hidePopover();
  if (!chip) return () => {};
  const pressed = chip.getAttribute("aria-pressed") === "true";
  const count = chip.querySelector("[data-count]");
  const before = count.textContent;
  press(chip, !pressed);
  if (/^\d+$/.test(before)) count.textContent = number(Number(before) + (pressed ? -1 : 1));
  return () => {
    press(chip, pressed);
    count.textContent = before;
  };
}

function toggle(form) {
  const button = form.querySelector("[aria-pressed]");
  const pressed = button.getAttribute("aria-pressed") === "true";
  press(button, !pressed);
  return () => press(button, pressed);
}

export function startRequests() {
  document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
    ctx.request.headers["X-CSRF-Token"] = token();
  });
  document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
    const form = ctx.sourceElement;
    if (form.matches?.("[data-reactions]")) undos.set(ctx, react(form, ctx.request.submitter));
    else if (form.matches?.("[data-optimistic]")) undos.set(ctx, toggle(form));
    form.setAttribute?.("aria-busy", "true");
  });
  document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => ctx.sourceElement.removeAttribute?.("aria-busy"));
  document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
    undos.get(ctx)?.();
    const status = ctx.response.status;
    if (status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    else if (status !== 422 && !ctx.sourceElement.matches?.("[data-quiet]")) toast(text(status < 500 ? "refused" : "failed"), { bad: true });
  });
  document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
    if (!ctx) return;
    undos.get(ctx)?.();
    if (ctx.request.method !== "GET") toast(text("failed"), { bad: true });
  });
}
