// What one types in the composer is kept on the server too, for all one's devices; drafts.js keeps it on this one.
import { leave } from "./drafts.js";

const PAUSE_MS = 2500;

const part = (form, name) => form.querySelector(`[data-draft-${name}]`);

function equip(form) {
  if (form.dataset.keptThere || !part(form, "id")) return;
  form.dataset.keptThere = "true";
  let timer = 0;
  // Each text that was sent begins a new one: what was on its way for the one before is thrown away.
  let turn = 0;
  let busy = Promise.resolve();

  const save = (mine) => {
    busy = busy.then(async () => {
      if (mine !== turn || !form.isConnected || !form.querySelector("textarea").value.trim()) return;
      const fields = new FormData(form);
      fields.delete("image");
      fields.set("request_id", `auto-${mine}-${fields.get("request_id")}`);
      let answer;
      try {
        answer = await fetch("/drafts/auto", { method: "POST", body: fields, headers: { accept: "application/json" } });
      } catch {
        return; // Offline: the text is kept on this device.
      }
      const told = await answer.json().catch(() => ({}));
      if (mine !== turn) {
        if (told.draft_id && !fields.get("draft_id")) await discard(form, told.draft_id);
        return;
      }
      if (answer.ok) {
        part(form, "id").value = told.draft_id;
        part(form, "etag").value = told.etag;
      }
      // Unfinished is no mistake: only a change on another device needs a word.
      if (answer.ok || part(form, "id").value) part(form, "saved").textContent = told.said ?? told.problem ?? "";
    });
  };

  form.addEventListener("input", (event) => {
    if (event.target.type === "file") return;
    clearTimeout(timer);
    const mine = turn;
    timer = setTimeout(() => save(mine), PAUSE_MS);
  });
  const end = () => {
    clearTimeout(timer);
    turn += 1;
  };
  form.addEventListener("submit", end);
  form.addEventListener("draft:sent", () => {
    end();
    part(form, "id").value = part(form, "etag").value = "";
    part(form, "saved").textContent = "";
  });
}

const discard = (form, id) => {
  const fields = new FormData();
  fields.set("csrf_token", form.querySelector("[name=csrf_token]").value);
  fields.set("do", "discard");
  return fetch(`/drafts/${id}`, { method: "POST", body: fields }).catch(() => {});
};

export function startServerDrafts() {
  const all = () => document.querySelectorAll("[data-compose-form]").forEach(equip);
  all();
  document.addEventListener("htmx:after:process", all);
  // The two buttons lead to another page: they are sent in the ordinary way, with what is written as it is.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-draft-button]");
    if (!button) return;
    event.preventDefault();
    const form = button.form;
    const chosen = Object.assign(document.createElement("input"), { type: "hidden", name: "do", value: button.value });
    form.append(chosen);
    form.action = button.getAttribute("formaction");
    leave(form);
    HTMLFormElement.prototype.submit.call(form);
  });
}
