// megalodon, unchanged, against a running network: what Fedistar and other desktop clients are built on.
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import megalodon, { detector } from "megalodon";

const generator = megalodon.default ?? megalodon;
const { ADDRESS, BEN, CARLA, PICTURE } = process.env;
const ben = generator("mastodon", ADDRESS, BEN);
const carla = generator("mastodon", ADDRESS, CARLA);

assert.equal(await detector(ADDRESS), "mastodon");
const app = await generator("mastodon", ADDRESS).registerApp("megalodon tests", { scopes: ["read", "write", "follow"] });
assert.ok(app.client_id && app.url.includes("/oauth/authorize"));
assert.ok((await ben.getInstance()).data.uri.length > 0);
const other = (await carla.verifyAccountCredentials()).data;
assert.equal((await ben.verifyAccountCredentials()).data.acct, "ben.ito");
assert.equal((await ben.followAccount(other.id)).data.following, true);
assert.equal((await ben.getRelationships([other.id])).data[0].following, true);

const picture = (await carla.uploadMedia(createReadStream(PICTURE), { description: "A boat" })).data;
const post = (await carla.postStatus("From megalodon #mega", { media_ids: [picture.id] })).data;
assert.equal(post.media_attachments.length, 1);
assert.equal((await ben.favouriteStatus(post.id)).data.favourited, true);
assert.equal((await ben.bookmarkStatus(post.id)).data.bookmarked, true);
assert.equal((await ben.reblogStatus(post.id)).data.reblog.id, post.id);
await ben.unreblogStatus(post.id);
const reply = (await ben.postStatus("Seen", { in_reply_to_id: post.id })).data;
assert.deepEqual((await ben.getStatusContext(post.id)).data.descendants.map((each) => each.id), [reply.id]);
assert.equal((await carla.editStatus(post.id, { status: "Edited in megalodon" })).data.id, post.id);
assert.ok((await ben.getHomeTimeline({ limit: 5 })).data.length > 0);
assert.ok((await ben.getLocalTimeline({ limit: 5 })).data.length > 0);
assert.ok((await carla.getNotifications({ limit: 5 })).data.length > 0);
assert.deepEqual((await ben.getInstanceCustomEmojis()).data, []);
const list = (await ben.createList("From megalodon")).data;
await ben.addAccountsToList(list.id, [other.id]);
assert.deepEqual((await ben.getAccountsInList(list.id)).data.map((each) => each.id), [other.id]);
await ben.deleteList(list.id);
assert.ok((await ben.search("mega", { type: "hashtags" })).data.hashtags.length >= 0);
assert.equal((await carla.deleteStatus(post.id)).status, 200);

const streaming = await ben.userStreaming();
let heardId = "";
streaming.on("update", (status) => { if (status.content.includes("Streamed")) { heardId = status.id; } });
streaming.on("error", (error) => { console.error(error); });
for (let second = 0; second < 40 && !heardId; second += 1) {
  await carla.postStatus(`Streamed ${second}`);
  await new Promise((resolve) => setTimeout(resolve, 500));
}
assert.ok(heardId, "the stream told nothing");
streaming.stop();
console.log("megalodon: all is well");
process.exit(0);
