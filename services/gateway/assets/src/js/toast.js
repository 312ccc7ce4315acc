// Short sentences at the foot of the page, announced politely.
import { text } from "./page.js";

/** Shows a sentence; with an action also a button. Answers a function that takes it away. */
export function toast(sentence, { bad = false, action = "", onAction = () => {}, lasts = 6000, focus = false } = {}) {
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  const words = document.createElement("p");
  words.textContent = sentence;
  box.append(words);
  const close = () => {
    clearTimeout(timer);
    box.remove();
  };
  const timer = setTimeout(close, lasts);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link-button";
    button.textContent = action;
    button.addEventListener("click", () => {
      close();
      onAction();
    });
    box.append(button);
    if (focus) queueMicrotask(() => button.focus());
  }
  document.getElementById("toasts").append(box);
  return close;
}

export function startToasts() {
  addEventListener("offline", () => toast(text("gone"), { bad: true }));
  addEventListener("online", () => toast(text("back")));
}
