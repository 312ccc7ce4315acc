// Live updates. Register first: GET /live/register?after=P gives {queue, position}, P being the log position that the page shows; the queue
// holds what happened since, so that nothing falls between the page and the stream GET /live?queue=Q. A lost queue means reload.
//
//   post, reply     {post_id, root_id, author_id, community_id, tags, home, position}   a quiet "3 new"; the list is fetched when asked for
//   counts          {post_id, position}     the numbers are fetched and change in place
//   edited, deleted {post_id, position}     the post changes in place
//   notification    {unread_count, position}
//   reload          {}                      the queue fell behind
import { goTo, number, text } from "./page.js";

const COUNTS_SPREAD_MS = 400;
const HIDDEN_MS = 10_000;
const RETRY_MS = 2_000;
const RETRY_MAX_MS = 60_000;
// list element -> ids of posts that wait to be shown
const waiting = new Map();
const asking = new Set();
let source = null;
let position = -1;
let retry = RETRY_MS;

const plurals = new Intl.PluralRules(document.documentElement.lang);
const post = (id) => document.querySelectorAll(`[data-post="${CSS.escape(id)}"]`);

function showPill(list) {
  const ids = waiting.get(list);
  for (const id of ids) if (post(id).length) ids.delete(id);
  const place = document.querySelector(`[data-fresh-for="${list.id || "thread"}"]`);
  if (!place) return;
  const count = number(ids.size);
  const pill = place.querySelector("a") ?? Object.assign(document.createElement("a"), { className: "pill", href: location.href });
  pill.textContent = text("fresh", { count });
  pill.onclick = (event) => {
    event.preventDefault();
    load(list, [...ids]);
  };
  if (ids.size) place.replaceChildren(pill);
  else place.replaceChildren();
}

async function load(list, ids) {
  const isThread = list.matches(".thread");
  const form = isThread && document.querySelector("[data-reply-form]");
  if (form) document.querySelector("[data-reply-home]").append(form);
  const part = isThread ? ".replies-root" : "#posts";
  await window.htmx.ajax("GET", location.pathname + location.search, { target: part, select: part, swap: "outerMorph" });
  const fresh = isThread ? list : document.querySelector("#posts");
  waiting.delete(list);
  waiting.set(fresh, new Set());
  showPill(fresh);
  const first = ids.map((id) => document.getElementById(`post-${id}`)).find(Boolean);
  ids.forEach((id) => document.getElementById(`post-${id}`)?.classList.add("is-new"));
  if (!isThread) scrollTo({ top: 0 });
  goTo(first);
}

function scopes(data) {
  if (data.root_id && data.root_id !== data.post_id) return [`thread:${data.root_id}`];
  // A repost stands with those who follow its author, not where the original does.
  if (data.reposted_id) return [...(data.home ? ["following"] : []), `person:${data.author_id}`];
  const company = data.audience ? data.audience === "everyone" : !data.community_id;
  return [
    ...(data.home ? ["following"] : []),
    ...(company ? ["company"] : []),
    ...(data.community_id ? [`community:${data.community_id}`] : []),
    `person:${data.author_id}`,
    ...(data.tags ?? []).map((tag) => `tag:${tag}`),
  ];
}

function onPost(data) {
  const named = scopes(data);
  for (const list of document.querySelectorAll("[data-live-scope]")) {
    if (!named.includes(list.dataset.liveScope) || post(data.post_id).length) continue;
    if (!waiting.has(list)) waiting.set(list, new Set());
    waiting.get(list).add(data.post_id);
    // One's own post is put in place by the form that sent it; give that answer the time to come first.
    setTimeout(() => showPill(list), 400);
  }
}

function setReaction(article, emoji, count) {
  const form = article.querySelector("[data-reactions]");
  if (!form) return;
  let chip = [...form.querySelectorAll(".chip")].find((each) => each.dataset.emoji === emoji);
  if (!chip && count) {
    chip = Object.assign(document.createElement("button"), { className: "chip", name: "emoji", value: emoji });
    chip.dataset.emoji = emoji;
    chip.setAttribute("aria-pressed", "false");
    const face = Object.assign(document.createElement("span"), { className: "emoji", textContent: emoji });
    const figure = document.createElement("b");
    figure.dataset.count = "";
    chip.append(face, figure);
    form.querySelector("[data-key=react]").before(chip);
  }
  if (!chip) return;
  chip.querySelector("[data-count]").textContent = number(count);
  chip.hidden = !count;
}

function showPoll(article, { counts, voter_count: voters }) {
  const total = Math.max(1, voters);
  article.querySelectorAll(":scope [data-option]").forEach((row) => {
    const count = counts[Number(row.dataset.option)] ?? 0;
    row.querySelector("progress").value = count / total;
    row.querySelector("[data-share]").textContent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(count / total);
  });
  article.querySelectorAll(":scope [data-voters]").forEach((place) => (place.textContent = number(voters)));
}

function showCounts(id, { reply_count: replies, reactions, poll, repost_count: reposts }) {
  for (const article of post(id)) {
    if (poll) showPoll(article, poll);
    const passed = article.querySelector(":scope > .post-foot [data-reposts]");
    if (passed) passed.textContent = reposts ? number(reposts) : "";
    const place = article.querySelector(":scope > .post-foot [data-replies]");
    if (place) place.textContent = replies ? number(replies) : "";
    if (article.matches(".post-root")) {
      document.querySelector("[data-thread-count]")?.replaceChildren(number(replies));
      const word = document.querySelector("[data-thread-word]");
      if (word) word.textContent = word.dataset[plurals.select(replies)] ?? word.dataset.other;
    }
    const known = new Map([...article.querySelectorAll(".chip[data-emoji]")].map((chip) => [chip.dataset.emoji, 0]));
    reactions.forEach((each) => known.set(each.emoji, each.count));
    known.forEach((total, each) => setReaction(article, each, total));
  }
}

// Many readers hear of the same reaction at once: each asks at a moment of its own, and once for several.
function onCounts({ post_id: id }) {
  if (asking.has(id) || !post(id).length) return;
  asking.add(id);
  setTimeout(async () => {
    asking.delete(id);
    const answer = await fetch(`/api/v1/posts/${id}`, { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer?.ok) showCounts(id, await answer.json());
  }, 100 + Math.random() * COUNTS_SPREAD_MS);
}

function onEdited({ post_id: id }) {
  if (!post(id).length) return;
  const selector = `#post-${CSS.escape(id)}`;
  window.htmx.ajax("GET", location.pathname + location.search, { target: selector, select: selector, swap: "outerMorph" });
}

function onDeleted({ post_id: id }) {
  for (const article of post(id)) {
    if (article.matches(".repost")) {
      article.remove();
      continue;
    }
    article.classList.add("tombstone");
    article.replaceChildren(Object.assign(document.createElement("p"), { className: "mute", textContent: text("deletedPost") }));
  }
}

function onNotification({ unread_count: unread }) {
  for (const badge of document.querySelectorAll("[data-unread]")) {
    badge.hidden = !unread;
    badge.querySelector("[data-unread-count]").textContent = number(unread);
  }
  document.title = document.title.replace(/^\(\d+\) /, "");
  if (unread) document.title = `(${unread}) ${document.title}`;
}

// With unsent text on the page one is not torn away: only the connection starts anew.
function onReload() {
  close();
  const typed = [...document.querySelectorAll("textarea")].some((area) => !area.readOnly && area.value !== area.defaultValue);
  if (!typed) return location.reload();
  position = -1;
  setTimeout(connect, RETRY_MS);
}

function close() {
  source?.close();
  source = null;
}

async function connect() {
  if (source || document.hidden) return;
  try {
    const answer = await fetch(`/live/register${position < 0 ? "" : `?after=${position}`}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const { queue, position: registered } = await answer.json();
    if (source) return;
    if (position < 0) position = registered;
    source = new EventSource(`${document.body.dataset.live}?queue=${encodeURIComponent(queue)}`);
  } catch {
    return again();
  }
  const on = (type, handle) =>
    source.addEventListener(type, (event) => {
      const data = event.data ? JSON.parse(event.data) : {};
      if (data.position > position) position = data.position;
      handle(data);
    });
  on("post", onPost);
  on("reply", onPost);
  on("counts", onCounts);
  on("edited", onEdited);
  on("deleted", onDeleted);
  on("notification", onNotification);
  on("reload", onReload);
  source.addEventListener("open", () => {
    retry = RETRY_MS;
    document.documentElement.dataset.liveState = "open";
  });
  source.addEventListener("error", () => {
    document.documentElement.dataset.liveState = "lost";
    if (source?.readyState === EventSource.CLOSED) {
      close();
      again();
    }
  });
}

function again() {
  setTimeout(connect, retry * (0.5 + Math.random()));
  retry = Math.min(retry * 2, RETRY_MAX_MS);
}

export function startLive() {
  if (!document.body.dataset.live) return;
  position = Number(document.body.dataset.livePosition);
  connect();
  // A browser opens few connections to one host: tabs that nobody looks at give theirs back.
  let timer = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(close, HIDDEN_MS);
    else connect();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && connect());
}
