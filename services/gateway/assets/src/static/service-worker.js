// Shows what is pushed, and opens the page it is about. It keeps nothing and answers no requests.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let told = {};
  try {
    told = event.data?.json() ?? {};
  } catch {
    return;
  }
  const { title = "", body = "", url = "/notifications", tag = "", language = "" } = told;
  const shown = { body, tag, lang: language, data: { url }, icon: "/favicon.ico" };
  event.waitUntil(self.registration.showNotification(String(title), shown));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const target = new URL(event.notification.data?.url ?? "/", self.location.origin);
  if (target.origin !== self.location.origin) return;
  const open = async () => {
    const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const here = windows.find((each) => new URL(each.url).pathname === target.pathname);
    if (here) return here.focus();
    return self.clients.openWindow(target.href);
  };
  event.waitUntil(open());
});
