// What is offered while one types: in the search box (filled by htmx), and people after an @ in texts.
import { text, isTyping } from "./page.js";

let sayTimer = 0;

function say(count) {
  clearTimeout(sayTimer);
  sayTimer = setTimeout(() => {
    let status = document.getElementById("finder-status");
    if (!status) {
      status = Object.assign(document.createElement("div"), { id: "finder-status", className: "visually-hidden" });
      status.setAttribute("role", "status");
      document.body.append(status);
    }
    status.textContent = text("results", { count });
  }, 600);
}

/** Arrow keys, Enter and Escape over a list box that belongs to a field. */
export function combobox(field, list, choose) {
  const options = () => [...list.querySelectorAll('[role="option"]')];
  const selected = () => list.querySelector('[aria-selected="true"]');
  const select = (option) => {
    selected()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) field.setAttribute("aria-activedescendant", option.id);
    else field.removeAttribute("aria-activedescendant");
  };
  const show = (visible) => {
    list.hidden = !visible;
    // A text with suggestions stays a text box, which has no such state.
    if (field.getAttribute("role") === "combobox") field.setAttribute("aria-expanded", String(visible));
    if (visible) say(options().length);
    else select(null);
  };
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const all = options();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const at = all.indexOf(selected());
      select(all[at < 0 ? (step > 0 ? 0 : all.length - 1) : (at + step + all.length) % all.length]);
    } else if ((event.key === "Enter" || event.key === "Tab") && selected()) {
      event.preventDefault();
      event.stopPropagation();
      choose(selected());
      show(false);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      show(false);
    }
  });
  list.addEventListener("mousedown", (event) => event.preventDefault());
  field.addEventListener("blur", () => show(false));
  return { show, options, select };
}

function searchBox(form) {
  const field = form.querySelector("input[type=search]");
  const list = form.querySelector("[role=listbox]");
  const box = combobox(field, list, (option) => location.assign(option.href));
  const update = () => box.show(field.value.trim() !== "" && box.options().length > 0 && document.activeElement === field);
  field.addEventListener("htmx:after:swap", update);
  field.addEventListener("focus", update);
  field.addEventListener("input", () => field.value.trim() || list.replaceChildren());
}

// The word at the caret when it begins with @, or in a field for people the entry at the caret.
function wanted(field) {
  const before = field.value.slice(0, field.selectionStart);
  const found = field.matches("[data-people]") ? before.match(/(?:^|,)\s*(@?[^,]*)$/) : before.match(/(?:^|\s)@([\p{L}\p{N}._-]{1,40})$/u);
  return found ? found[1].replace(/^@/, "").trim() : "";
}

function insert(field, option) {
  const end = field.selectionStart;
  const before = field.value.slice(0, end).replace(field.matches("[data-people]") ? /[^,]*$/ : /@[^@]*$/, "");
  const gap = field.matches("[data-people]") ? (before ? " " : "") : "";
  const added = `${before}${gap}@${option.dataset.handle}${field.matches("[data-people]") ? ", " : " "}`;
  field.value = added + field.value.slice(end);
  field.setSelectionRange(added.length, added.length);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

const equipped = new WeakSet();
let lists = 0;

function mentions(field) {
  equipped.add(field);
  const list = Object.assign(document.createElement("div"), { className: "suggestions", id: `people-${(lists += 1)}`, hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", document.getElementById("suggestions")?.getAttribute("aria-label") ?? "");
  field.after(list);
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-autocomplete", "list");
  const box = combobox(field, list, (option) => insert(field, option));
  list.addEventListener("click", (event) => {
    const option = event.target.closest('[role="option"]');
    if (!option) return;
    event.preventDefault();
    insert(field, option);
    box.show(false);
  });
  let running = null;
  field.addEventListener("input", async () => {
    running?.abort();
    const query = wanted(field);
    if (!query) return box.show(false);
    running = new AbortController();
    const { signal } = running;
    try {
      const answer = await fetch(`/search/suggest?q=${encodeURIComponent(query)}${field.matches("[data-people]") ? "" : "&mention=1"}`, { signal, headers: { "HX-Request": "true" } });
      if (!answer.ok) return;
      const found = new DOMParser().parseFromString(await answer.text(), "text/html");
      const people = [...found.querySelectorAll("[data-handle]")].filter((each) => each.dataset.handle);
      people.forEach((each, index) => (each.id = `${list.id}-${index}`));
      list.replaceChildren(...people);
      box.show(people.length > 0 && document.activeElement === field);
      if (!list.hidden) box.select(people[0]);
    } catch (error) {
      if (error.name !== "AbortError") box.show(false);
    }
  });
}

export function startFinder() {
  document.querySelectorAll("[data-finder]").forEach(searchBox);
  const equip = (target) => {
    if (isTyping(target) && target?.matches("[data-mentions], [data-people]") && !equipped.has(target)) mentions(target);
  };
  document.addEventListener("focusin", ({ target }) => equip(target));
  equip(document.activeElement); // a field that takes the focus by itself has it before this runs
}
