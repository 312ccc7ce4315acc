// Commands of bots, offered after a slash at the beginning of a text.
import { combobox } from "./finder.js";
import { isTyping } from "./page.js";

const equipped = new WeakSet();
let lists = 0;

// The name that is being typed, or null where the text is no command (any more).
const typed = (field) => field.value.slice(0, field.selectionStart).match(/^\/([A-Za-z][A-Za-z0-9_-]{0,31})?$/);

function option(found, id) {
  const row = Object.assign(document.createElement("div"), { className: "option", id });
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", "false");
  row.dataset.command = found.name;
  const words = document.createElement("span");
  const name = Object.assign(document.createElement("b"), { dir: "ltr", textContent: `/${found.name} ${found.hint}`.trim() });
  const about = Object.assign(document.createElement("small"), { className: "mute", textContent: `${found.description} (${found.bot})` });
  words.append(name, about);
  row.append(words);
  return row;
}

function commands(field) {
  equipped.add(field);
  const list = Object.assign(document.createElement("div"), { className: "suggestions", id: `commands-${(lists += 1)}`, hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "/");
  field.after(list);
  const choose = (row) => {
    const rest = field.value.slice(field.selectionStart);
    const added = `/${row.dataset.command} `;
    field.value = added + rest;
    field.setSelectionRange(added.length, added.length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const box = combobox(field, list, choose);
  list.addEventListener("click", (event) => {
    const row = event.target.closest('[role="option"]');
    if (!row) return;
    choose(row);
    box.show(false);
  });
  let running = null;
  field.addEventListener("input", async () => {
    running?.abort();
    const found = typed(field);
    if (!found) return box.show(false);
    running = new AbortController();
    const { signal } = running;
    const audience = field.form?.elements.audience?.value ?? "";
    const community = audience.startsWith("community:") ? audience.slice(10) : "";
    try {
      const answer = await fetch(`/integrations/commands/suggest?q=${found[1] ?? ""}&community=${community}`, { signal });
      if (!answer.ok) return;
      list.replaceChildren(...(await answer.json()).map((each, index) => option(each, `${list.id}-${index}`)));
      box.show(list.children.length > 0 && document.activeElement === field);
      if (!list.hidden) box.select(list.firstElementChild);
    } catch (error) {
      if (error.name !== "AbortError") box.show(false);
    }
  });
}

export function startCommands() {
  const equip = (target) => {
    if (isTyping(target) && target?.matches("[data-mentions]") && !equipped.has(target)) commands(target);
  };
  document.addEventListener("focusin", ({ target }) => equip(target));
  equip(document.activeElement);
}
