// The box in which one writes: images, the count of what is left, sending by key, replies in their place.
import { forget } from "./drafts.js";
import { goTo, number, text } from "./page.js";
import { toast } from "./toast.js";

const SAY_LEFT_FROM = 500;

function left(area) {
  const form = area.form;
  const remaining = area.maxLength - area.value.length;
  const place = form?.querySelector("[data-left]");
  if (place) place.textContent = remaining <= SAY_LEFT_FROM ? text("leftCharacters", { count: number(remaining) }) : "";
}

function checkFile(field) {
  const limit = Number(field.dataset.maxBytes);
  const tooLarge = [...field.files].some((file) => file.size > limit);
  field.setCustomValidity(tooLarge ? text("tooLarge", { limit: `${number(Math.floor(limit / 1e6))} MB` }) : "");
  if (tooLarge) field.reportValidity();
}

function equip(root) {
  root.querySelectorAll?.("[data-toggle-image]").forEach((button) => {
    button.hidden = false;
    button.onclick = () => {
      const details = button.form.querySelector(".compose-image");
      details.open = !details.open;
      if (details.open) details.querySelector("input").focus();
    };
  });
}

/** Opens the box: the one on the page, or one in a dialog. */
export async function openComposer() {
  const here = document.querySelector("main .compose:not(.reply-box) textarea");
  if (here) {
    here.focus();
    here.scrollIntoView({ block: "center" });
    return;
  }
  const dialog = document.getElementById("composer");
  if (!dialog) return location.assign("/compose");
  if (!dialog.querySelector("form")) {
    await window.htmx.ajax("GET", "/compose", { target: "#composer-body", select: ".compose", swap: "innerHTML" });
  }
  if (!dialog.querySelector("form")) return location.assign("/compose");
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("textarea").focus();
}

function answer(form, id, name) {
  form.dispatchEvent(new Event("draft:keep"));
  const home = document.querySelector("[data-reply-home]");
  const isRoot = id === form.dataset.root;
  const branch = document.getElementById(`post-${id}`)?.closest(".branch");
  if (isRoot || !branch) home.append(form);
  else branch.querySelector(":scope > .post").after(form);
  form.action = `/posts/${id}/replies`;
  form.setAttribute("hx-post", form.getAttribute("action"));
  form.setAttribute("hx-target", `#replies-${id}`);
  form.querySelector("[data-replying]").textContent = isRoot ? "" : text("replying", { name });
  form.querySelector("textarea").focus();
}

function sent(form, target, html = "") {
  form.dispatchEvent(new Event("draft:sent"));
  forget(form);
  form.reset();
  const made = /id="post-([0-9a-f-]{36})"/.exec(html)?.[1];
  if (!target && made && !form.closest("dialog")) return location.assign(`/posts/${made}`);
  form.querySelector("[name=request_id]").value = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  form.querySelector(".compose-image")?.removeAttribute("open");
  form.querySelector("[data-left]")?.replaceChildren();
  form.querySelectorAll(".notice.bad, .field-error").forEach((each) => each.remove());
  const added = form.matches("[data-reply-form]") ? target?.lastElementChild?.querySelector(".post") : target?.querySelector(".post");
  if (form.matches("[data-reply-form]")) {
    const id = form.getAttribute("hx-post").split("/")[2];
    for (const count of document.querySelectorAll(`[data-post="${CSS.escape(id)}"] > .post-foot [data-replies]`)) {
      if (/^\d*$/.test(count.textContent)) count.textContent = number(Number(count.textContent || 0) + 1);
    }
    const home = document.querySelector("[data-reply-home]");
    if (form.parentElement !== home) answer(form, form.dataset.root, "");
  } else {
    target?.querySelectorAll(":scope > .empty").forEach((each) => each.remove());
    target?.classList.add("posts");
    form.closest("dialog")?.close();
    toast(text("posted"), { lasts: 3000 });
  }
  added?.classList.add("is-new");
  goTo(added);
}

export function startCompose() {
  document.documentElement.classList.add("has-script");
  equip(document);
  document.addEventListener("htmx:after:process", ({ target }) => equip(target instanceof Element ? target : document));
  document.addEventListener("input", ({ target }) => {
    if (target.matches("[data-compose-form] textarea")) left(target);
  });
  document.addEventListener("change", ({ target }) => {
    if (target.matches("input[type=file][data-max-bytes]")) checkFile(target);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea")) event.target.form?.requestSubmit();
  });
  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("[data-compose]")) {
      event.preventDefault();
      openComposer();
    }
    const reply = event.target.closest("[data-reply]");
    const form = document.querySelector("[data-reply-form]");
    if (reply && form) {
      event.preventDefault();
      answer(form, reply.dataset.reply, reply.dataset.replyName);
    }
  });
  // On a page without a list there is no place to put the post: the page for writing then goes on to it.
  document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
    const form = ctx.sourceElement;
    if (!form.matches?.("[data-compose-form]") || ctx.target) return;
    ctx.target = form;
    ctx.swap = "none";
  });
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    const form = ctx.sourceElement;
    if (form.matches?.("[data-compose-form]") && ctx.response?.status < 400) {
      sent(form, ctx.swap === "none" ? null : document.querySelector(form.getAttribute("hx-target")), ctx.text);
    }
    if (ctx.response?.status === 422) document.querySelector(`#${CSS.escape(form.id)} [role=alert]`)?.focus();
  });
  const dialog = document.getElementById("composer");
  dialog?.addEventListener("click", (event) => event.target === dialog && dialog.close());
  if (location.hash === "#reply") document.querySelector("#reply textarea")?.focus();
}
