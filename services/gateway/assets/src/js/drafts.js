// What one types survives a closed tab: kept per form in localStorage until it is sent or discarded, thirty days at most.
import { text } from "./page.js";

const KEEP_MS = 30 * 24 * 3600 * 1000;
const SENT = "draft-sent";
const name = (form) => `draft:${form.dataset.draftKey}`;
const fields = (form) => [...form.elements].filter((each) => each.name && /^(textarea|text|select-one|search)$/.test(each.type) && !each.readOnly);

const read = (key) => {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
};

export const forget = (form) => localStorage.removeItem(name(form));

/** The form is about to be sent in the ordinary way: what is kept of it goes when the next page shows that it was accepted. */
export const leave = (form) => sessionStorage.setItem(SENT, name(form));

function keep(form) {
  const values = {};
  let typed = false;
  for (const field of fields(form)) {
    values[field.name] = field.value;
    typed ||= field.tagName === "TEXTAREA" && field.value.trim() !== "" && field.value !== field.defaultValue;
  }
  try {
    if (typed) localStorage.setItem(name(form), JSON.stringify({ values, time: Date.now() }));
    else forget(form);
  } catch {
    // Storage is full or forbidden: the text is still on the page.
  }
}

function restore(form) {
  const draft = read(name(form));
  const areas = fields(form).filter((field) => field.tagName === "TEXTAREA");
  if (!draft || areas.some((field) => field.getAttribute("aria-invalid")) || form.querySelector(".notice.bad")) return;
  if (areas.every((field) => (draft.values[field.name] ?? "") === field.value)) return;
  const before = new Map(fields(form).map((field) => [field, field.value]));
  for (const field of fields(form)) if (draft.values[field.name] !== undefined) field.value = draft.values[field.name];
  const note = document.createElement("p");
  note.className = "draft-note mute";
  note.append(`${text("draft")} `);
  const discard = Object.assign(document.createElement("button"), { type: "button", className: "link-button", textContent: text("discard") });
  discard.addEventListener("click", () => {
    before.forEach((value, field) => (field.value = value));
    forget(form);
    note.remove();
    areas[0]?.focus();
  });
  note.append(discard);
  form.append(note);
}

/** Begins to keep a form's text; for forms that come into the page later. */
export function watch(form) {
  if (form.dataset.watched) return;
  form.dataset.watched = "true";
  restore(form);
  let timer = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => keep(form), 250);
  });
  form.addEventListener("submit", () => {
    if (!form.hasAttribute("hx-post")) leave(form);
  });
  form.addEventListener("draft:keep", () => {
    clearTimeout(timer);
    keep(form);
  });
  form.addEventListener("draft:sent", () => {
    clearTimeout(timer);
    forget(form);
    form.querySelector(".draft-note")?.remove();
  });
}

export function startDrafts() {
  // A form sent in the ordinary way was accepted when the next page does not show it again with an error.
  const sent = sessionStorage.getItem(SENT);
  if (sent && performance.getEntriesByType("navigation")[0]?.type === "navigate") {
    sessionStorage.removeItem(SENT);
    const again = document.querySelector(`[data-draft-key="${CSS.escape(sent.slice("draft:".length))}"]`);
    if (!document.querySelector(".notice.bad, .notice.note, .failure") || !again) localStorage.removeItem(sent);
  }
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("draft:") && Date.now() - (read(key)?.time ?? 0) > KEEP_MS) localStorage.removeItem(key);
  }
  const all = () => document.querySelectorAll("form[data-draft-key]").forEach(watch);
  all();
  document.addEventListener("htmx:after:process", all);
  addEventListener("pagehide", () => document.querySelectorAll("form[data-draft-key]").forEach((form) => form.dispatchEvent(new Event("draft:keep"))));
}
