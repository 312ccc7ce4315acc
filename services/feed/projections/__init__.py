"""The read models of the feed; the files of schema/ say what stands in their tables."""
from .activity import Activity
from .communities import Communities
from .follows import FollowLists
from .notifications import Notifications
from .people import Groups, People
from .posts import Posts
from .responses import Responses
from .standings import Standings
from .timelines import Timelines

__all__ = ["Activity", "Communities", "FollowLists", "Groups", "Notifications", "People", "Posts", "Responses", "Standings", "Timelines"]
