// masto.js, unchanged, against a running network: what Elk and Phanpy are built on.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRestAPIClient, createStreamingAPIClient } from "masto";

const { ADDRESS, BEN, CARLA, PICTURE } = process.env;
const ben = createRestAPIClient({ url: ADDRESS, accessToken: BEN });
const carla = createRestAPIClient({ url: ADDRESS, accessToken: CARLA });

const instance = await ben.v2.instance.fetch();
assert.equal(instance.configuration.statuses.maxCharacters, 10000);
assert.equal((await ben.v1.instance.fetch()).configuration.polls.maxOptions, instance.configuration.polls.maxOptions);
const me = await ben.v1.accounts.verifyCredentials();
const other = await carla.v1.accounts.verifyCredentials();
assert.equal(me.acct, "ben.ito");

assert.equal((await ben.v1.accounts.$select(other.id).follow()).following, true);
assert.equal((await ben.v1.accounts.relationships.fetch({ id: [other.id] }))[0].following, true);

const picture = await carla.v2.media.create({ file: new Blob([await readFile(PICTURE)], { type: "image/png" }), description: "A boat" });
const post = await carla.v1.statuses.create({ status: "From masto.js #masto", mediaIds: [picture.id], language: "en" });
assert.equal(post.mediaAttachments[0].description, "A boat");
const shown = await fetch(post.mediaAttachments[0].url);
assert.equal(shown.status, 200, "pictures are fetched without a token");
assert.equal((await fetch(new URL(new URL(post.mediaAttachments[0].url).pathname, ADDRESS))).status, 401);

const reply = await ben.v1.statuses.create({ status: "Seen", inReplyToId: post.id });
const context = await ben.v1.statuses.$select(post.id).context.fetch();
assert.deepEqual(context.descendants.map((each) => each.id), [reply.id]);
assert.equal((await ben.v1.statuses.$select(post.id).favourite()).favourited, true);
assert.equal((await ben.v1.statuses.$select(post.id).bookmark()).bookmarked, true);
assert.equal((await ben.v1.statuses.$select(post.id).reblog()).reblog.id, post.id);
assert.equal((await ben.v1.statuses.$select(post.id).unreblog()).reblogged, false);
const poll = await carla.v1.statuses.create({ status: "Which?", poll: { options: ["a", "b"], expiresIn: 600 } });
assert.deepEqual((await ben.v1.polls.$select(poll.poll.id).votes.create({ choices: [0] })).ownVotes, [0]);

const home = await ben.v1.timelines.home.list({ limit: 1 });
const pages = [];
for await (const page of ben.v1.timelines.home.list({ limit: 1 })) {
  pages.push(...page.map((each) => each.id));
  if (pages.length >= 3) break;
}
assert.equal(home.length, 1);
assert.equal(new Set(pages).size, pages.length);
assert.deepEqual(pages, [...pages].sort().reverse(), "ids sort as text, newest first");
assert.equal((await ben.v1.timelines.tag.$select("masto").list())[0].id, post.id);

const filter = await ben.v2.filters.create({
  title: "Words", context: ["home"], filterAction: "warn", keywordsAttributes: [{ keyword: "spoil", wholeWord: true }],
});
assert.equal(filter.keywords[0].keyword, "spoil");
await ben.v2.filters.$select(filter.id).remove();
const list = await ben.v1.lists.create({ title: "From masto.js" });
await ben.v1.lists.$select(list.id).accounts.create({ accountIds: [other.id] });
assert.deepEqual((await ben.v1.lists.$select(list.id).accounts.list()).map((each) => each.id), [other.id]);
await ben.v1.lists.$select(list.id).remove();
assert.ok((await carla.v1.notifications.list()).length > 0);
assert.ok((await carla.v2.notifications.list()).notificationGroups.length > 0);
await ben.v1.markers.create({ home: { lastReadId: post.id } });
assert.equal((await ben.v1.markers.fetch({ timeline: ["home"] })).home.lastReadId, post.id);
assert.ok((await ben.v2.search.list({ q: "carla", type: "accounts" })).accounts.length >= 0);
await assert.rejects(ben.v1.statuses.$select("01900000-0000-7000-8000-000000000000").fetch(), /Record not found|no such post/);

// Web clients ask from another origin: a preflight, then the request.
const preflight = await fetch(`${ADDRESS}/api/v1/statuses`, {
  method: "OPTIONS",
  headers: { origin: "https://client.example", "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
});
assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
const crossing = await fetch(`${ADDRESS}/api/v1/timelines/home?limit=1`, {
  headers: { origin: "https://client.example", authorization: `Bearer ${BEN}` },
});
assert.equal(crossing.headers.get("access-control-allow-origin"), "*");
assert.match(crossing.headers.get("access-control-expose-headers"), /Link/);

const streaming = createStreamingAPIClient({
  streamingApiUrl: instance.configuration.urls.streaming, accessToken: BEN,
});
const events = streaming.user.subscribe();
const heard = (async () => {
  let written;
  for await (const event of events) {
    if (event.event === "update" && event.payload.content.includes("Streamed")) {
      written = event.payload;
      await carla.v1.statuses.$select(written.id).remove();
    }
    if (event.event === "delete" && written !== undefined) {
      return [written.id, event.payload];
    }
  }
})();
// A subscription takes a moment, and one that is not there yet hears nothing: one post a second until one is heard.
let done = false;
heard.finally(() => { done = true; });
for (let second = 0; second < 40 && !done; second += 1) {
  await carla.v1.statuses.create({ status: `Streamed ${second}` });
  await Promise.race([heard, new Promise((resolve) => setTimeout(resolve, 1000))]);
}
const [updated, deleted] = await heard;
assert.equal(updated, deleted);
events.unsubscribe();
streaming.close();
console.log("masto.js: all is well");
process.exit(0);
