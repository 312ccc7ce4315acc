"""What mails and pushes say, in the languages there are. English is the one that others fall back to."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from watercooler.feed.v1 import feed_service_pb2 as api

LANGUAGES: Final = ("en", "de")

_TITLES: Final[dict[str, dict[int, str]]] = {
    "en": {
        api.NOTIFICATION_KIND_MENTION: "{who} mentioned you",
        api.NOTIFICATION_KIND_REPLY: "{who} replied",
        api.NOTIFICATION_KIND_REACTION: "{who} reacted to your post",
        api.NOTIFICATION_KIND_FOLLOW: "{who} follows you now",
        api.NOTIFICATION_KIND_JOIN_REQUEST: "{who} asks to join {community}",
        api.NOTIFICATION_KIND_JOINED: "You were let into {community}",
        api.NOTIFICATION_KIND_DIRECT: "{who} wrote to you",
        api.NOTIFICATION_KIND_REPOST: "{who} passed your post on",
        api.NOTIFICATION_KIND_QUOTE: "{who} quoted your post",
        api.NOTIFICATION_KIND_POLL: "A poll has closed",
        api.NOTIFICATION_KIND_PRAISE: "{who} thanks you",
        api.NOTIFICATION_KIND_BEST_ANSWER: "Your answer is the best one",
        api.NOTIFICATION_KIND_QUESTION: "A question you may know the answer to",
        api.NOTIFICATION_KIND_ANNOUNCEMENT: "Announcement from {who}",
        api.NOTIFICATION_KIND_REMINDER: "An announcement waits for you",
        api.NOTIFICATION_KIND_CORRECTION: "An announcement was corrected",
        api.NOTIFICATION_KIND_DECISION: "What you asked or proposed was decided",
        api.NOTIFICATION_KIND_MODERATION: "News about a report",
        api.NOTIFICATION_KIND_POST: "{who} posted",
        api.NOTIFICATION_KIND_EDIT: "{who} edited a post you know",
        api.NOTIFICATION_KIND_DRAFT: "A scheduled post could not be published",
        api.NOTIFICATION_KIND_WEBHOOK: "A webhook of yours was switched off",
    },
    "de": {
        api.NOTIFICATION_KIND_MENTION: "{who} hat dich erwähnt",
        api.NOTIFICATION_KIND_REPLY: "{who} hat geantwortet",
        api.NOTIFICATION_KIND_REACTION: "{who} hat auf deinen Beitrag reagiert",
        api.NOTIFICATION_KIND_FOLLOW: "{who} folgt dir jetzt",
        api.NOTIFICATION_KIND_JOIN_REQUEST: "{who} möchte {community} beitreten",
        api.NOTIFICATION_KIND_JOINED: "Du wurdest in {community} aufgenommen",
        api.NOTIFICATION_KIND_DIRECT: "{who} hat dir geschrieben",
        api.NOTIFICATION_KIND_REPOST: "{who} hat deinen Beitrag weitergegeben",
        api.NOTIFICATION_KIND_QUOTE: "{who} hat deinen Beitrag zitiert",
        api.NOTIFICATION_KIND_POLL: "Eine Umfrage ist beendet",
        api.NOTIFICATION_KIND_PRAISE: "{who} dankt dir",
        api.NOTIFICATION_KIND_BEST_ANSWER: "Deine Antwort ist die beste",
        api.NOTIFICATION_KIND_QUESTION: "Eine Frage, deren Antwort du vielleicht weißt",
        api.NOTIFICATION_KIND_ANNOUNCEMENT: "Ankündigung von {who}",
        api.NOTIFICATION_KIND_REMINDER: "Eine Ankündigung wartet auf dich",
        api.NOTIFICATION_KIND_CORRECTION: "Eine Ankündigung wurde berichtigt",
        api.NOTIFICATION_KIND_DECISION: "Über deine Frage oder deinen Vorschlag wurde entschieden",
        api.NOTIFICATION_KIND_MODERATION: "Neues zu einer Meldung",
        api.NOTIFICATION_KIND_POST: "{who} hat etwas geschrieben",
        api.NOTIFICATION_KIND_EDIT: "{who} hat einen Beitrag geändert, den du kennst",
        api.NOTIFICATION_KIND_DRAFT: "Ein geplanter Beitrag konnte nicht veröffentlicht werden",
        api.NOTIFICATION_KIND_WEBHOOK: "Ein Webhook von dir wurde abgeschaltet",
    },
}

_TEXTS: Final[dict[str, dict[str, str]]] = {
    "en": {},
    "de": {
        "Somebody": "Jemand",
        "{who} and 1 other": "{who} und 1 weitere Person",
        "{who} and {count} others": "{who} und {count} weitere",
        "{count} new notifications": "{count} neue Benachrichtigungen",
        "Open them when it suits you.": "Öffne sie, wenn es dir passt.",
        "A test": "Ein Test",
        "Pushes reach this device.": "Benachrichtigungen erreichen dieses Gerät.",
        "Your week: {count} for you": "Deine Woche: {count} für dich",
        "Your day: {count} for you": "Dein Tag: {count} für dich",
        "Your week at a glance": "Deine Woche im Überblick",
        "Your day at a glance": "Dein Tag im Überblick",
        "Hello {who},": "Hallo {who},",
        "this is what happened for you since {since}.": "das ist seit {since} für dich geschehen.",
        "Waits for your confirmation": "Wartet auf deine Bestätigung",
        "Questions you may know the answer to": "Fragen, deren Antwort du vielleicht weißt",
        "For you": "Für dich",
        "Worth reading": "Lesenswert",
        "and {count} more": "und {count} weitere",
        "Open": "Öffnen",
        "All notifications": "Alle Benachrichtigungen",
        "Nothing is new. A digest without news is not sent.":
            "Es gibt nichts Neues. Eine Zusammenfassung ohne Neues wird nicht verschickt.",
        "You get this digest because you chose it or never changed it.":
            "Du bekommst diese Zusammenfassung, weil du sie gewählt oder nie geändert hast.",
        "Choose when and what": "Wann und was wählen",
        "No more digests": "Keine Zusammenfassungen mehr",
        "Sent by {organization}": "Gesendet von {organization}",
        # Reasons of the ranked timeline.
        "You and the author follow each other": "Du und die Person folgt einander",
        "You follow the author": "Du folgst der Person",
        "You often talk with the author": "Du sprichst oft mit der Person",
        "From a community you take part in": "Aus einer Community, in der du mitwirkst",
        "1 person you follow reacted": "1 Person, der du folgst, hat reagiert",
        "Addressed to you": "An dich gerichtet",
        "A question you may know the answer to": "Eine Frage, deren Antwort du vielleicht weißt",
        "An open question where you take part": "Eine offene Frage dort, wo du mitwirkst",
        "Much discussed": "Viel besprochen",
        "An announcement that waits for your confirmation": "Eine Ankündigung, die auf deine Bestätigung wartet",
        "New": "Neu",
    },
}


def language_of(*wanted: str) -> str:
    """The first of these languages (BCP 47) that there are texts in; English without one."""
    for tag in wanted:
        base = tag.strip().replace("_", "-").partition("-")[0].lower()
        if base in LANGUAGES:
            return base
    return "en"


def say(language: str, text: str, **values: object) -> str:
    """A text in a language, with its values put in."""
    return _TEXTS[language].get(text, text).format(**values)


def reason(language: str, text: str) -> str:
    """A reason of the ranked timeline in a language."""
    count, space, rest = text.partition(" ")
    if language == "de" and count.isdigit() and space and rest == "people you follow reacted":
        return f"{count} Personen, denen du folgst, haben reagiert"
    return _TEXTS[language].get(text, text)


def actors(language: str, names: Iterable[str], count: int) -> str:
    """Who did something: the newest of them by name."""
    first = next(iter(names), "") or say(language, "Somebody")
    if count <= 1:
        return first
    return say(language, "{who} and 1 other" if count == 2 else "{who} and {count} others", who=first, count=count - 1)


def title(language: str, notification: api.Notification) -> str:
    """What happened, in a few words."""
    who = actors(language, [actor.display_name for actor in notification.actors], notification.actor_count)
    pattern = _TITLES[language].get(notification.kind, "{who}")
    return pattern.format(who=who, community=notification.community_name)
