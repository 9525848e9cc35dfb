"""How photos and people look in Flickr's answers, and where the sandbox's pages and pictures of them are.

A photo's JSON for one set of `extras` is made once and kept, so that a page of 500 is joined rather than built.
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from pipelines.sandbox.pictures import STYLES, photo_tags, photo_title
from pipelines.sandbox.world import World

# Flickr's size suffixes: the longer side in pixels, and the label of photos.getSizes. `sq` is cut to a square.
SIZES = {
    "sq": (75, "Square"),
    "t": (100, "Thumbnail"),
    "m": (240, "Small"),
    "n": (320, "Small 320"),
    "z": (640, "Medium 640"),
    "c": (800, "Medium 800"),
    "l": (1024, "Large"),
}
KEPT_EXTRAS = 8  # sets of extras whose fragments are kept


class Payloads:
    """Builds from the world alone; knows nothing of favorites. Rows are rows of the world."""

    def __init__(self, world: World, base_url: str) -> None:
        self.world, self.base_url = world, base_url
        self.photo_row = {photo_id: row for row, photo_id in enumerate(world.photo_ids)}
        self.user_row = {user_id: row for row, user_id in enumerate(world.user_ids)}
        self.name_row = {name.lower(): row for row, name in enumerate(world.user_names)}
        self.path_row = {alias: row for row, alias in enumerate(world.user_aliases) if alias} | self.user_row
        self._fragments: dict[frozenset[str], list[bytes | None]] = {}

    def path(self, user: int) -> str:
        """What stands for a user in Flickr's URLs: the alias, or the NSID without one."""
        return self.world.user_aliases[user] or self.world.user_ids[user]

    def photo_page(self, photo: int) -> str:
        return f"{self.base_url}/photos/{self.path(int(self.world.photo_owner[photo]))}/{self.world.photo_ids[photo]}/"

    def person_page(self, user: int) -> str:
        return f"{self.base_url}/people/{self.path(user)}/"

    def avatar(self, user: int) -> str:
        return f"{self.base_url}/avatars/{self.world.user_ids[user]}.svg"

    def picture(self, photo: int, suffix: str) -> str:
        return f"{self.base_url}/pictures/{self.world.photo_ids[photo]}_{suffix}.svg"

    def size(self, photo: int, suffix: str) -> tuple[int, int]:
        """Width and height in pixels at that size."""
        longest = SIZES[suffix][0]
        if suffix == "sq":
            return longest, longest
        width, height = int(self.world.photo_width[photo]), int(self.world.photo_height[photo])
        scale = longest / max(width, height)
        return round(width * scale), round(height * scale)

    def style(self, photo: int) -> str:
        return STYLES[int(self.world.photo_style[photo])]

    def title(self, photo: int) -> str:
        return photo_title(self.style(photo), int(self.world.photo_seed[photo]))

    def tags(self, photo: int) -> list[str]:
        return photo_tags(self.style(photo), int(self.world.photo_seed[photo]))

    def secret(self, photo: int) -> str:
        return f"{int(self.world.photo_seed[photo]) * 2_654_435_761 % 2**40:010x}"

    def listed_photo(self, photo: int, extras: frozenset[str]) -> bytes:
        """A photo in a list, as JSON without the closing brace, so that `date_faved` can follow."""
        if extras not in self._fragments:
            while len(self._fragments) >= KEPT_EXTRAS:
                del self._fragments[next(iter(self._fragments))]
            self._fragments[extras] = [None] * len(self.world.photo_ids)
        kept = self._fragments[extras]
        fragment = kept[photo]
        if fragment is None:
            fragment = kept[photo] = orjson.dumps(self._photo_fields(photo, extras))[:-1]
        return fragment

    def _photo_fields(self, photo: int, extras: frozenset[str]) -> dict[str, object]:
        world, owner = self.world, int(self.world.photo_owner[photo])
        uploaded = int(world.photo_uploaded_at[photo])
        fields: dict[str, object] = {
            "id": world.photo_ids[photo],
            "owner": world.user_ids[owner],
            "secret": self.secret(photo),
            "server": "65535",
            "farm": 66,
            "title": self.title(photo),
            "ispublic": 1,
            "isfriend": 0,
            "isfamily": 0,
        }
        known: dict[str, dict[str, object]] = {
            "date_upload": {"dateupload": str(uploaded)},
            "last_update": {"lastupdate": str(uploaded)},
            "date_taken": {
                "datetaken": mysql_time(uploaded - 7_200),
                "datetakengranularity": 0,
                "datetakenunknown": "0",
            },
            "owner_name": {"ownername": world.user_names[owner]},
            "path_alias": {"pathalias": world.user_aliases[owner] or None},
            "license": {"license": "0"},
            "media": {"media": "photo", "media_status": "ready"},
            "o_dims": {"o_width": int(world.photo_width[photo]), "o_height": int(world.photo_height[photo])},
            "safety_level": {"safety_level": str(world.photo_safety[photo])},
        }
        for extra in sorted(extras & known.keys()):
            fields |= known[extra]
        if "tags" in extras:
            fields["tags"] = " ".join(self.tags(photo))
        for suffix in SIZES:
            if f"url_{suffix}" in extras:
                width, height = self.size(photo, suffix)
                fields |= {
                    f"url_{suffix}": self.picture(photo, suffix),
                    f"height_{suffix}": height,
                    f"width_{suffix}": width,
                }
        return fields

    def photo_info(self, photo: int, *, is_favorite: bool) -> dict[str, object]:
        """The answer of photos.getInfo."""
        world, owner = self.world, int(self.world.photo_owner[photo])
        uploaded = int(world.photo_uploaded_at[photo])
        tags = [
            {
                "id": f"{world.photo_ids[photo]}-{number}",
                "author": world.user_ids[owner],
                "authorname": world.user_names[owner],
                "raw": tag,
                "_content": tag,
                "machine_tag": 0,
            }
            for number, tag in enumerate(self.tags(photo))
        ]
        return {
            "id": world.photo_ids[photo],
            "secret": self.secret(photo),
            "server": "65535",
            "farm": 66,
            "dateuploaded": str(uploaded),
            "isfavorite": int(is_favorite),
            "license": "0",
            "safety_level": str(world.photo_safety[photo]),
            "rotation": 0,
            "owner": {
                "nsid": world.user_ids[owner],
                "username": world.user_names[owner],
                "realname": "",
                "location": "",
                "iconserver": "65535",
                "iconfarm": 66,
                "path_alias": world.user_aliases[owner] or None,
            },
            "title": {"_content": self.title(photo)},
            "description": {"_content": ""},
            "visibility": {"ispublic": 1, "isfriend": 0, "isfamily": 0},
            "dates": {
                "posted": str(uploaded),
                "taken": mysql_time(uploaded - 7_200),
                "takengranularity": 0,
                "takenunknown": "0",
                "lastupdate": str(uploaded),
            },
            "views": "0",
            "comments": {"_content": "0"},
            "tags": {"tag": tags},
            "urls": {"url": [{"type": "photopage", "_content": self.photo_page(photo)}]},
            "media": "photo",
        }

    def photo_sizes(self, photo: int) -> dict[str, object]:
        """The answer of photos.getSizes."""
        sizes = []
        for suffix, (_, label) in SIZES.items():
            width, height = self.size(photo, suffix)
            page = f"{self.photo_page(photo)}sizes/{suffix}/"
            source = self.picture(photo, suffix)
            sizes.append(
                {"label": label, "width": width, "height": height, "source": source, "url": page, "media": "photo"}
            )
        return {"canblog": 0, "canprint": 0, "candownload": 1, "size": sizes}

    def contact(self, user: int) -> dict[str, object]:
        """A person in contacts.getPublicList."""
        return {
            "nsid": self.world.user_ids[user],
            "username": self.world.user_names[user],
            "iconserver": "65535",
            "iconfarm": 66,
            "ignored": 0,
            "rev_ignored": 0,
            "path_alias": self.world.user_aliases[user] or None,
        }

    def person(self, user: int, *, photos: int, first_upload: int | None) -> dict[str, object]:
        """The answer of people.getInfo for somebody with so many photos."""
        world = self.world
        count: dict[str, object] = {"count": {"_content": photos}}
        if first_upload is not None:
            count |= {
                "firstdatetaken": {"_content": mysql_time(first_upload - 7_200)},
                "firstdate": {"_content": str(first_upload)},
            }
        return {
            "id": world.user_ids[user],
            "nsid": world.user_ids[user],
            "ispro": 0,
            "iconserver": "65535",
            "iconfarm": 66,
            "path_alias": world.user_aliases[user] or None,
            "username": {"_content": world.user_names[user]},
            "realname": {"_content": ""},
            "location": {"_content": ""},
            "description": {"_content": ""},
            "photosurl": {"_content": f"{self.base_url}/photos/{self.path(user)}/"},
            "profileurl": {"_content": self.person_page(user)},
            "photos": count,
        }


def mysql_time(seconds: int) -> str:
    """A time as Flickr writes dates taken: `2026-11-24 12:00:00`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
