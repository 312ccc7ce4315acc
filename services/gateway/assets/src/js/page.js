// What several modules need: translated texts, numbers, plain requests.
const texts = document.getElementById("texts")?.dataset ?? {};

/** A text of the catalogue with {placeholders} filled. */
export const text = (key, values = {}) => (texts[key] ?? "").replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

const numbers = new Intl.NumberFormat(document.documentElement.lang, { notation: "compact", maximumFractionDigits: 0 });
export const number = (value) => (value < 10000 ? value.toLocaleString(document.documentElement.lang) : numbers.format(value));

export const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** A POST that survives leaving the page. */
export const post = (url, body) =>
  fetch(url, { method: "POST", body, keepalive: true, headers: { "X-CSRF-Token": token(), "HX-Request": "true" }, credentials: "same-origin" });

export const isTyping = (element) => element?.closest("input, textarea, select, [contenteditable]") !== null;

/** Puts the focus on something that is no control of its own, such as a post. */
export const goTo = (element) => {
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "nearest" });
};
