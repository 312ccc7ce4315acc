// Adds this browser to the devices that take pushes: only after a click, never by itself.
const encoded = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const decoded = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));

function label() {
  const brands = navigator.userAgentData?.brands?.map(({ brand }) => brand).filter((brand) => !/not.?a.?brand|chromium/i.test(brand)) ?? [];
  const browser = brands[0] ?? /(Firefox|Edg|Chrome|Safari)/.exec(navigator.userAgent)?.[1] ?? "";
  const system = navigator.userAgentData?.platform ?? navigator.platform ?? "";
  return [browser, system].filter(Boolean).join(", ").slice(0, 100);
}

async function add(place) {
  const say = (text) => {
    const message = place.querySelector("[data-push-message]");
    message.textContent = text;
    message.hidden = !text;
  };
  say("");
  if ((await Notification.requestPermission()) !== "granted") return say(place.dataset.pushDenied);
  try {
    const registration = await navigator.serviceWorker.register("/service-worker.js", { scope: "/" });
    await navigator.serviceWorker.ready;
    const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: decoded(place.dataset.pushKey) });
    const body = JSON.stringify({
      endpoint: subscription.endpoint, p256dh: encoded(subscription.getKey("p256dh")), auth: encoded(subscription.getKey("auth")), label: label(),
    });
    const headers = { "content-type": "application/json", "x-csrf-token": document.querySelector("meta[name=csrf-token]").content };
    const answer = await fetch("/api/v1/delivery/push", { method: "PUT", headers, body });
    if (!answer.ok) return say((await answer.json().catch(() => ({}))).detail || place.dataset.pushFailed);
    location.reload();
  } catch {
    say(place.dataset.pushFailed);
  }
}

export function startPush() {
  const place = document.querySelector("[data-push]");
  if (!place || !("serviceWorker" in navigator) || !("PushManager" in window) || !place.dataset.pushKey) return;
  const button = place.querySelector("[data-push-add]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    await add(place);
    button.disabled = false;
  });
}
