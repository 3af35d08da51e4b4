"""Fills the forum's empty database with the members, categories, threads and posts of a file."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "forum_settings")

import django

django.setup()

from django.conf import settings as django_settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model  # noqa: E402
from django.contrib.postgres.search import SearchVector  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from misago.acl.models import Role  # noqa: E402
from misago.cache.versions import invalidate_all_caches  # noqa: E402
from misago.categories.models import Category, CategoryRole, RoleCategoryACL  # noqa: E402
from misago.conf.models import Setting  # noqa: E402
from misago.core.utils import slugify  # noqa: E402
from misago.threads.checksums import update_post_checksum  # noqa: E402
from misago.threads.models import Post, Thread  # noqa: E402
from misago.users.models import Rank  # noqa: E402

world = json.loads(Path(sys.argv[1]).read_text())
now = datetime.now(UTC)
User = get_user_model()
BLANK = [{"size": size, "url": "/static/misago/img/blank-avatar.png"} for size in (400, 200, 100)]
SETTINGS = {
    "forum_name": world["name"],
    "forum_index_title": world["name"],
    "default_avatar": "blank",
    "readtracker_cutoff": "3650",
    "threads_per_page": "50",
    "posts_per_page": "50",
    "top_posters_ranking_size": "10",
}


def members() -> dict:
    """Makes the members, the first of whom is signed in and moderates."""
    rank, made = Rank.objects.get_default(), {}
    for number, name in enumerate(world["members"]):
        password = "password1" if number == 0 else None  # hashing one takes as long as all other data of a member
        user = User.objects.create_user(
            name, f"{name.lower()}@example.com", password, avatars=BLANK, rank=rank, joined_from_ip="127.0.0.1"
        )
        user.joined_on = now - timedelta(days=900 - number)
        user.save(update_fields=["joined_on"])
        made[name] = user
    first = made[world["members"][0]]
    first.roles.add(*Role.objects.filter(name__in=["Moderator", "Members"]))
    first.update_acl_key()
    first.save()
    return made


def categories() -> dict:
    """Makes the categories below the root; members start and reply, moderators do everything."""
    made, root = {}, Category.objects.root_category()
    for old in Category.objects.all_categories():
        old.delete()
    may = {"Moderator": CategoryRole.objects.get(name="Moderator")}
    standard = CategoryRole.objects.get(name="Start and reply threads")
    for name in world["categories"]:
        category = Category(name=name, slug=slugify(name), description=f"Everything about {name.lower()}.")
        category.insert_at(Category.objects.get(pk=root.pk), position="last-child", save=True)
        made[name] = category
        for role in Role.objects.all():
            RoleCategoryACL.objects.create(role=role, category=category, category_role=may.get(role.name, standard))
    return made


def threads(users: dict, places: dict) -> None:
    """Makes the threads with their posts."""
    for number, wanted in enumerate(world["threads"]):
        at = now - timedelta(hours=3 * (len(world["threads"]) - number) + 24)
        starter = users[wanted["posts"][0]["by"]]
        thread = Thread(
            category=places[wanted["category"]],
            title=wanted["title"],
            slug=slugify(wanted["title"]),
            started_on=at,
            last_post_on=at,
            starter=starter,
            starter_name=starter.username,
            starter_slug=starter.slug,
            last_poster_name=starter.username,
            last_poster_slug=starter.slug,
        )
        thread.save()
        made = [
            Post(
                category=thread.category,
                thread=thread,
                poster=users[one["by"]],
                poster_name=one["by"],
                original=one["text"],
                parsed=f"<p>{escape(one['text'])}</p>",
                posted_on=at + timedelta(minutes=place),
                updated_on=at + timedelta(minutes=place),
            )
            for place, one in enumerate(wanted["posts"])
        ]
        for post, place in zip(made, range(len(made)), strict=True):
            post.set_search_document(wanted["title"] if place == 0 else None)
        Post.objects.bulk_create(made)
        for post in made:
            update_post_checksum(post)
        Post.objects.bulk_update(made, ["checksum"])
        thread.first_post = made[0]
        thread.synchronize()
        thread.is_closed = wanted["is_closed"]
        thread.save()
    config = django_settings.MISAGO_SEARCH_CONFIG
    Post.objects.update(search_vector=SearchVector("search_document", config=config))
    for place in places.values():
        place.refresh_from_db()
        place.synchronize()
        place.save()
    for user in users.values():
        user.posts, user.threads = user.post_set.count(), user.thread_set.count()
        user.save(update_fields=["posts", "threads"])


def session(user: object) -> None:
    """Makes the session with which every episode begins."""
    content = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: django_settings.AUTHENTICATION_BACKENDS[0],
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    # A store that is given a key which does not exist yet takes another one, so the row is written as it is.
    Session.objects.create(
        session_key=world["session"],
        session_data=SessionStore().encode(content),
        expire_date=now + timedelta(days=3_650),
    )


for name, value in SETTINGS.items():
    Setting.objects.filter(setting=name).update(dry_value=value)
people, sections = members(), categories()
threads(people, sections)
found = {
    "members": list(User.objects.order_by("pk").values_list("pk", "username")),
    "categories": list(Category.objects.filter(level=1).order_by("pk").values_list("pk", "name")),
    "threads": list(Thread.objects.order_by("pk").values_list("pk", "title")),
    "posts": list(Post.objects.order_by("pk").values_list("pk", "original")),
}
expected = {
    "members": list(enumerate(world["members"], start=1)),
    "categories": list(enumerate(world["categories"], start=world["first_category"])),
    "threads": list(enumerate((one["title"] for one in world["threads"]), start=1)),
    "posts": list(enumerate((post["text"] for one in world["threads"] for post in one["posts"]), start=1)),
}
for kind, rows in expected.items():
    # The tasks know rows by their ids.
    if found[kind] != rows:
        sys.exit(f"expected the {kind} {rows[:2]}..., found {found[kind][:2]}...")
session(people[world["members"][0]])
invalidate_all_caches()
