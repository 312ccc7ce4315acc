"""What is allowed, said by example: for each command its outcome, its conflict or limit, and its repetition."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from libs.eventstore.model import EditConflict, InvalidArgument, PermissionDenied, Rejected, fold
from libs.testing.spec import Spec
from services.feed import commands as c
from services.feed.deciders import author, community, follow, inbox, membership, post, response
from watercooler.common.v1.audience_pb2 import Audience, Everyone, People
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import events_pb2 as e

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
EVERYONE = Audience(everyone=Everyone())
OPEN, CLOSED = e.COMMUNITY_KIND_OPEN, e.COMMUNITY_KIND_CLOSED
MEMBER, OWNER = e.MEMBER_ROLE_MEMBER, e.MEMBER_ROLE_OWNER


def timed(event: Any, field: str) -> Any:
    getattr(event, field).FromDatetime(NOW)
    return event


PUBLISH = c.PublishPost(post_id="p", author_id="ann", body="hi", audience=EVERYONE, now=NOW)
PUBLISHED = timed(e.PostPublished(post_id="p", author_id="ann", body="hi", audience=EVERYONE), "publish_time")
EDIT = c.EditPost(post_id="p", editor_id="ann", body="ho", now=NOW)
EDITED = timed(e.PostEdited(post_id="p", author_id="ann", body="ho"), "edit_time")
DELETE = c.DeletePost(post_id="p", actor_id="ann", moderates=False, now=NOW)
DELETED = timed(e.PostDeleted(post_id="p", author_id="ann", deleter_id="ann"), "delete_time")


def publish(**changes: Any) -> c.PublishPost:
    return c.PublishPost(**({"post_id": "p", "author_id": "ann", "body": "hi", "audience": EVERYONE, "now": NOW} | changes))


class TestPost:
    spec = Spec(post)

    def test_is_published(self) -> None:
        Spec(post).given().when(PUBLISH).then(PUBLISHED)

    def test_is_published_once(self) -> None:
        Spec(post).given(PUBLISHED).when(PUBLISH).then_nothing()

    def test_picture_stands_alone(self) -> None:
        picture = Attachment(blob_id="b", media_type="image/png")
        Spec(post).given().when(publish(body="", attachments=(picture,))).then(
            timed(e.PostPublished(post_id="p", author_id="ann", audience=EVERYONE, attachments=[picture]), "publish_time")
        )

    @pytest.mark.parametrize(("changes", "text", "field"), [
        ({"body": "  \n"}, "needs some text", "body"),
        ({"body": "x" * 10_001}, "10,000", "body"),
        ({"mentioned_ids": tuple(map(str, range(51)))}, "50", "body"),
        ({"tags": tuple(map(str, range(31)))}, "30", "body"),
        ({"attachments": (Attachment(blob_id="b"),) * 5}, "at most 4", "attachments"),
        ({"attachments": (Attachment(),)}, "blob_id", "attachments"),
        ({"attachments": (Attachment(blob_id="b", description="d" * 1_501),)}, "1,500", "attachments"),
        ({"audience": Audience()}, "who may see", "audience"),
        ({"audience": Audience(people=People())}, "1 to 100", "audience"),
        ({"audience": Audience(people=People(person_ids=map(str, range(101))))}, "1 to 100", "audience"),
    ])
    def test_has_limits(self, changes: dict[str, Any], text: str, field: str) -> None:
        with pytest.raises(InvalidArgument, match=text) as refused:
            post.decide(publish(**changes), post.initial())
        assert refused.value.field == field

    def test_at_its_limits_is_accepted(self) -> None:
        most = publish(
            body="x" * 10_000, mentioned_ids=tuple(map(str, range(50))), tags=tuple(map(str, range(30))),
            attachments=(Attachment(blob_id="b", description="d" * 1_500),) * 4,
            audience=Audience(people=People(person_ids=map(str, range(100)))),
        )
        assert len(post.decide(most, post.initial())) == 1

    def test_is_edited_by_its_author(self) -> None:
        Spec(post).given(PUBLISHED).when(EDIT).then(EDITED)

    def test_is_edited_by_nobody_else(self) -> None:
        edit = c.EditPost(post_id="p", editor_id="bob", body="ho", now=NOW)
        Spec(post).given(PUBLISHED).when(edit).then_rejected("only its author", PermissionDenied)

    def test_edit_on_an_old_version_is_a_conflict(self) -> None:
        edit = c.EditPost(post_id="p", editor_id="ann", body="hu", now=NOW, etag="1")
        Spec(post).given(PUBLISHED, EDITED).when(edit).then_rejected("edited meanwhile", EditConflict)

    def test_edit_on_the_newest_version(self) -> None:
        edit = c.EditPost(post_id="p", editor_id="ann", body="hi again", now=NOW, etag="2")
        Spec(post).given(PUBLISHED, EDITED).when(edit).then(
            timed(e.PostEdited(post_id="p", author_id="ann", body="hi again"), "edit_time")
        )

    def test_edit_without_a_change_is_none(self) -> None:
        Spec(post).given(PUBLISHED, EDITED).when(EDIT).then_nothing()

    def test_deleted_is_not_edited(self) -> None:
        Spec(post).given(PUBLISHED, DELETED).when(EDIT).then_rejected("deleted")

    def test_is_deleted_by_its_author(self) -> None:
        Spec(post).given(PUBLISHED).when(DELETE).then(DELETED)

    def test_is_deleted_by_a_moderator(self) -> None:
        delete = c.DeletePost(post_id="p", actor_id="mod", moderates=True, now=NOW)
        Spec(post).given(PUBLISHED).when(delete).then(
            timed(e.PostDeleted(post_id="p", author_id="ann", deleter_id="mod"), "delete_time")
        )

    def test_is_deleted_by_nobody_else(self) -> None:
        delete = c.DeletePost(post_id="p", actor_id="bob", moderates=False, now=NOW)
        Spec(post).given(PUBLISHED).when(delete).then_rejected("only its author", PermissionDenied)

    def test_is_deleted_once(self) -> None:
        Spec(post).given(PUBLISHED, DELETED).when(DELETE).then_nothing()


def added(emoji: str) -> e.ReactionAdded:
    event: e.ReactionAdded = timed(e.ReactionAdded(post_id="p", person_id="ann", emoji=emoji), "react_time")
    return event


def react(emoji: str) -> c.AddReaction:
    return c.AddReaction(post_id="p", person_id="ann", emoji=emoji, now=NOW)


FACES = [chr(0x1F600 + number) for number in range(21)]


class TestResponse:
    def test_reacts(self) -> None:
        Spec(response).given().when(react("🎉")).then(added("🎉"))

    def test_same_emoji_twice_is_once(self) -> None:
        Spec(response).given(added("🎉")).when(react("🎉")).then_nothing()

    def test_words_are_no_reaction(self) -> None:
        Spec(response).given().when(react("yes")).then_rejected("one emoji", InvalidArgument)

    def test_twenty_are_enough(self) -> None:
        given = [added(face) for face in FACES[:20]]
        Spec(response).given(*given[:19]).when(react(FACES[19])).then(added(FACES[19]))
        Spec(response).given(*given).when(react(FACES[20])).then_rejected("20", InvalidArgument)

    def test_takes_back(self) -> None:
        remove = c.RemoveReaction(post_id="p", person_id="ann", emoji="🎉")
        removed = e.ReactionRemoved(post_id="p", person_id="ann", emoji="🎉")
        Spec(response).given(added("🎉")).when(remove).then(removed)
        Spec(response).given(added("🎉"), removed).when(remove).then_nothing()

    def test_saves_and_unsaves(self) -> None:
        save, unsave = c.SavePost(post_id="p", person_id="ann", now=NOW), c.UnsavePost(post_id="p", person_id="ann")
        saved = timed(e.PostSaved(post_id="p", person_id="ann"), "save_time")
        unsaved = e.PostUnsaved(post_id="p", person_id="ann")
        Spec(response).given().when(save).then(saved)
        Spec(response).given(saved).when(save).then_nothing()
        Spec(response).given(saved).when(unsave).then(unsaved)
        Spec(response).given(saved, unsaved).when(unsave).then_nothing()

    def test_confirms_once(self) -> None:
        confirm = c.ConfirmRead(post_id="p", person_id="ann", now=NOW)
        confirmed = timed(e.PostReadConfirmed(post_id="p", person_id="ann"), "confirm_time")
        Spec(response).given().when(confirm).then(confirmed)
        Spec(response).given(confirmed).when(confirm).then_nothing()


class TestFollow:
    followed = timed(e.PersonFollowed(follower_id="ann", person_id="bob"), "follow_time")
    unfollowed = e.PersonUnfollowed(follower_id="ann", person_id="bob")

    def test_follows_once(self) -> None:
        command = c.FollowPerson(follower_id="ann", person_id="bob", now=NOW)
        Spec(follow).given().when(command).then(self.followed)
        Spec(follow).given(self.followed).when(command).then_nothing()
        Spec(follow).given(self.followed, self.unfollowed).when(command).then(self.followed)

    def test_nobody_follows_themselves(self) -> None:
        Spec(follow).given().when(c.FollowPerson(follower_id="ann", person_id="ann", now=NOW)).then_rejected("own posts", InvalidArgument)

    def test_unfollows_once(self) -> None:
        command = c.UnfollowPerson(follower_id="ann", person_id="bob")
        Spec(follow).given(self.followed).when(command).then(self.unfollowed)
        Spec(follow).given().when(command).then_nothing()

    def test_tags_too(self) -> None:
        command = c.FollowTag(follower_id="ann", tag="ulm", now=NOW)
        followed = timed(e.TagFollowed(follower_id="ann", tag="ulm"), "follow_time")
        Spec(follow).given().when(command).then(followed)
        Spec(follow).given(followed).when(command).then_nothing()
        Spec(follow).given(followed).when(c.UnfollowTag(follower_id="ann", tag="ulm")).then(e.TagUnfollowed(follower_id="ann", tag="ulm"))


CREATE = c.CreateCommunity(
    community_id="c", name="Cyclists", handle="cyclists", description="", rules="", kind=OPEN, tags=(), creator_id="ann", now=NOW
)
CREATED = timed(e.CommunityCreated(community_id="c", name="Cyclists", handle="cyclists", kind=OPEN, creator_id="ann"), "create_time")
ARCHIVED = timed(e.CommunityArchived(community_id="c"), "archive_time")


class TestCommunity:
    def test_is_created_once(self) -> None:
        Spec(community).given().when(CREATE).then(CREATED)
        Spec(community).given(CREATED).when(CREATE).then_nothing()

    @pytest.mark.parametrize(("change", "text", "field"), [
        ({"name": ""}, "1 to 100", "name"),
        ({"name": "x" * 101}, "1 to 100", "name"),
        ({"description": "x" * 1_001}, "1,000", "description"),
        ({"rules": "x" * 10_001}, "10,000", "rules"),
        ({"tags": tuple(map(str, range(51)))}, "50", "tags"),
        ({"kind": e.COMMUNITY_KIND_UNSPECIFIED}, "open, closed or secret", "kind"),
    ])
    def test_has_limits(self, change: dict[str, Any], text: str, field: str) -> None:
        with pytest.raises(InvalidArgument, match=text) as refused:
            community.decide(c.ChangeCommunity(community_id="c", **change), fold(community, [CREATED]))
        assert refused.value.field == field

    def test_changes_only_what_is_named(self) -> None:
        change = c.ChangeCommunity(community_id="c", kind=CLOSED)
        Spec(community).given(CREATED).when(change).then(e.CommunityChanged(community_id="c", name="Cyclists", kind=CLOSED))
        Spec(community).given(CREATED).when(c.ChangeCommunity(community_id="c", name="Cyclists")).then_nothing()

    def test_change_of_an_old_version_is_a_conflict(self) -> None:
        changed = e.CommunityChanged(community_id="c", name="Cyclists", kind=CLOSED)
        change = c.ChangeCommunity(community_id="c", name="Bikes", etag="1")
        Spec(community).given(CREATED, changed).when(change).then_rejected("meanwhile", EditConflict)

    def test_archives_and_back(self) -> None:
        archive, back = c.ArchiveCommunity(community_id="c", now=NOW), c.UnarchiveCommunity(community_id="c")
        unarchived = e.CommunityUnarchived(community_id="c")
        Spec(community).given(CREATED).when(archive).then(ARCHIVED)
        Spec(community).given(CREATED, ARCHIVED).when(archive).then_nothing()
        Spec(community).given(CREATED, ARCHIVED).when(back).then(unarchived)
        Spec(community).given(CREATED, ARCHIVED).when(c.ChangeCommunity(community_id="c", name="Bikes")).then_rejected("archived")

    def test_absent_cannot_be_changed(self) -> None:
        Spec(community).given().when(c.ArchiveCommunity(community_id="c", now=NOW)).then_rejected("no such community")


IDS: dict[str, Any] = {"community_id": "c", "person_id": "ann"}
REQUESTED = timed(e.JoinRequested(**IDS), "request_time")
JOINED = timed(e.MemberJoined(**IDS, role=MEMBER, admitter_id="bob"), "join_time")


class TestMembership:
    def test_asks_once(self) -> None:
        ask = c.RequestJoin(**IDS, now=NOW)
        Spec(membership).given().when(ask).then(REQUESTED)
        Spec(membership).given(REQUESTED).when(ask).then_nothing()
        Spec(membership).given(JOINED).when(ask).then_nothing()

    def test_is_approved(self) -> None:
        approve = c.ApproveJoin(**IDS, decider_id="bob", now=NOW)
        Spec(membership).given(REQUESTED).when(approve).then(JOINED)
        Spec(membership).given(REQUESTED, JOINED).when(approve).then_nothing()
        Spec(membership).given().when(approve).then_rejected("no join request")

    def test_is_declined(self) -> None:
        decline = c.DeclineJoin(**IDS, decider_id="bob")
        Spec(membership).given(REQUESTED).when(decline).then(e.JoinRequestDeclined(**IDS, decider_id="bob"))
        Spec(membership).given().when(decline).then_nothing()
        Spec(membership).given(JOINED).when(decline).then_rejected("member already")

    def test_is_admitted_without_asking(self) -> None:
        admit = c.Admit(**IDS, role=MEMBER, admitter_id="bob", now=NOW)
        Spec(membership).given().when(admit).then(JOINED)
        Spec(membership).given(JOINED).when(admit).then_nothing()
        bad = c.Admit(**IDS, role=e.MEMBER_ROLE_UNSPECIFIED, admitter_id="bob", now=NOW)
        Spec(membership).given().when(bad).then_rejected("choose one", InvalidArgument)

    def test_role_changes(self) -> None:
        change = c.ChangeRole(**IDS, role=OWNER)
        Spec(membership).given(JOINED).when(change).then(e.MemberRoleChanged(**IDS, role=OWNER))
        Spec(membership).given(JOINED, e.MemberRoleChanged(**IDS, role=OWNER)).when(change).then_nothing()
        Spec(membership).given().when(change).then_rejected("no member")

    def test_leaves_or_withdraws(self) -> None:
        leave = c.Leave(**IDS)
        Spec(membership).given(JOINED).when(leave).then(e.MemberLeft(**IDS))
        Spec(membership).given(REQUESTED).when(leave).then(e.JoinRequestWithdrawn(**IDS))
        Spec(membership).given(JOINED, e.MemberLeft(**IDS)).when(leave).then_nothing()

    def test_is_removed(self) -> None:
        remove = c.RemoveMember(**IDS, remover_id="bob")
        Spec(membership).given(JOINED).when(remove).then(e.MemberRemoved(**IDS, remover_id="bob"))
        Spec(membership).given().when(remove).then_nothing()


def test_inbox_only_moves_forward() -> None:
    read = e.NotificationsRead(person_id="ann", read_position=7)
    Spec(inbox).given().when(c.ReadNotifications(person_id="ann", read_position=7)).then(read)
    Spec(inbox).given(read).when(c.ReadNotifications(person_id="ann", read_position=7)).then_nothing()
    Spec(inbox).given(read).when(c.ReadNotifications(person_id="ann", read_position=3)).then_nothing()


def test_author_is_erased_once() -> None:
    erased = timed(e.AuthorErased(person_id="ann"), "erase_time")
    Spec(author).given().when(c.EraseAuthor(person_id="ann", now=NOW)).then(erased)
    Spec(author).given(erased).when(c.EraseAuthor(person_id="ann", now=NOW)).then_nothing()


who = st.sampled_from(["ann", "bob"])
at = st.just(NOW)
texts = st.text(max_size=3)
COMMANDS: dict[Any, st.SearchStrategy[Any]] = {
    post: st.one_of(
        st.builds(c.PublishPost, post_id=st.just("p"), author_id=who, body=texts, audience=st.just(EVERYONE), now=at),
        st.builds(c.EditPost, post_id=st.just("p"), editor_id=who, body=texts, now=at, etag=st.sampled_from(["", "1", "2"])),
        st.builds(c.DeletePost, post_id=st.just("p"), actor_id=who, moderates=st.booleans(), now=at),
    ),
    response: st.one_of(
        st.builds(c.AddReaction, post_id=st.just("p"), person_id=who, emoji=st.sampled_from([*FACES, "no"]), now=at),
        st.builds(c.RemoveReaction, post_id=st.just("p"), person_id=who, emoji=st.sampled_from(FACES)),
        st.builds(c.SavePost, post_id=st.just("p"), person_id=who, now=at),
        st.builds(c.UnsavePost, post_id=st.just("p"), person_id=who),
        st.builds(c.ConfirmRead, post_id=st.just("p"), person_id=who, now=at),
    ),
    follow: st.one_of(
        st.builds(c.FollowPerson, follower_id=who, person_id=who, now=at), st.builds(c.UnfollowPerson, follower_id=who, person_id=who)
    ),
    community: st.one_of(
        st.just(CREATE),
        st.builds(c.ChangeCommunity, community_id=st.just("c"), name=st.none() | texts, kind=st.none() | st.sampled_from([0, 1, 2, 3]),
                  etag=st.sampled_from(["", "1", "2"])),
        st.builds(c.ArchiveCommunity, community_id=st.just("c"), now=at),
        st.builds(c.UnarchiveCommunity, community_id=st.just("c")),
    ),
    membership: st.one_of(
        st.builds(c.RequestJoin, community_id=st.just("c"), person_id=st.just("ann"), now=at),
        st.builds(c.DeclineJoin, community_id=st.just("c"), person_id=st.just("ann"), decider_id=who),
        st.builds(c.ApproveJoin, community_id=st.just("c"), person_id=st.just("ann"), decider_id=who, now=at),
        st.builds(c.Admit, community_id=st.just("c"), person_id=st.just("ann"), role=st.sampled_from([0, 1, 3]), admitter_id=who, now=at),
        st.builds(c.ChangeRole, community_id=st.just("c"), person_id=st.just("ann"), role=st.sampled_from([0, 1, 2, 3])),
        st.builds(c.Leave, community_id=st.just("c"), person_id=st.just("ann")),
        st.builds(c.RemoveMember, community_id=st.just("c"), person_id=st.just("ann"), remover_id=who),
    ),
    inbox: st.builds(c.ReadNotifications, person_id=st.just("ann"), read_position=st.integers(0, 9)),
}


@pytest.mark.parametrize("decider", list(COMMANDS), ids=lambda decider: decider.__name__.rpartition(".")[2])
@forall(data=st.data())
def test_any_history_replays_to_the_same_state(decider: Any, data: st.DataObject) -> None:
    log: list[Any] = []
    live = decider.initial()
    for command in data.draw(st.lists(COMMANDS[decider], max_size=12)):
        try:
            events = decider.decide(command, live)
        except Rejected:
            continue
        for event in events:
            live = decider.evolve(live, event)
        log += events
    assert fold(decider, [type(event).FromString(event.SerializeToString()) for event in log]) == live
