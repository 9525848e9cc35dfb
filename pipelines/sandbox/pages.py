"""The sandbox's few HTML pages: the start page, a person, a photo, and the consent page of OAuth.

Plain and without scripts. Everything that comes from the world or a person is escaped by Jinja.
"""

from __future__ import annotations

from jinja2 import DictLoader, Environment

_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}{% endblock %} · Flickr sandbox</title>
<style>
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --accent: #0b62d6 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem 4rem }
header { border-bottom: 1px solid var(--line); padding-bottom: .5rem; margin-bottom: 1.5rem; color: var(--quiet) }
a { color: var(--accent) } h1 { line-height: 1.2 } .quiet { color: var(--quiet) }
.person { display: flex; gap: .75rem; align-items: center; padding: .5rem .75rem; border: 1px solid var(--line);
  border-radius: .6rem; cursor: pointer } .person img { width: 40px; height: 40px; border-radius: 50% }
.person:has(:checked) { border-color: var(--accent) } .person small { display: block; color: var(--quiet) }
.people { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); list-style: none;
  padding: 0; margin: 1rem 0 } .name { display: flex; align-items: center; gap: .75rem }
.name img { width: 56px; height: 56px; border-radius: 50% }
.wall { display: flex; flex-wrap: wrap; gap: .4rem } .wall img { height: 160px; border-radius: .3rem; display: block }
.big { max-width: 100%; height: auto; border-radius: .4rem } button { font: inherit; padding: .55rem 1.4rem;
  border-radius: .5rem; border: 1px solid var(--line); cursor: pointer }
button.go { background: var(--accent); color: #fff; border-color: var(--accent) }
input[type=search] { font: inherit; padding: .45rem .7rem; width: min(22rem, 100%) } code { overflow-wrap: anywhere }
.comment { white-space: pre-line }
</style></head><body>
<header>Flickr sandbox: a made-up world for trying things out. Nobody here is real; no picture is a photograph.</header>
{% block body %}{% endblock %}
</body></html>"""

_START = """{% extends "frame" %}{% block title %}Start{% endblock %}{% block body %}
<h1>A sandbox that speaks Flickr's API</h1>
<p>{{ world.users }} people, {{ world.photos }} photos, {{ world.favorites }} favorites.
REST at <code>{{ base }}/services/rest/</code>, OAuth at <code>{{ base }}/services/oauth/</code>, key
<code>sandbox-key</code>, secret <code>sandbox-secret</code>.</p>
<h2>Visitors</h2><p class="quiet">People for you to be.</p>
<ul class="people">{% for p in people %}<li><a class="person" href="{{ p.page }}"><img src="{{ p.avatar_url }}" alt="">
<span>{{ p.name }}<small>{{ p.favorites }} favorites</small></span></a></li>{% endfor %}</ul>
{% endblock %}"""

_PERSON = """{% extends "frame" %}{% block title %}{{ p.name }}{% endblock %}{% block body %}
{% macro wall(photos) %}<div class="wall">{% for photo in photos %}<a href="{{ photo.page }}">
<img src="{{ photo.image }}" alt="{{ photo.title }}" title="{{ photo.title }}" loading="lazy"></a>
{% else %}<p>None yet.</p>{% endfor %}</div>{% endmacro %}
<h1 class="name"><img src="{{ p.avatar_url }}" alt=""> {{ p.name }}</h1>
<p class="quiet">{{ p.user_id }} · {{ photo_count }} photos · {{ p.favorites }} favorites</p>
<h2>Photos</h2>{{ wall(photos) }}
<h2>Newest favorites</h2>{{ wall(favorites) }}
{% endblock %}"""

_PHOTO = """{% extends "frame" %}{% block title %}{{ photo.title }}{% endblock %}{% block body %}
<p><img class="big" src="{{ photo.image }}" width="{{ photo.width }}" height="{{ photo.height }}"
  alt="{{ photo.title }}"></p>
<h1>{{ photo.title }}</h1><p>by <a href="{{ p.page }}">{{ p.name }}</a> <span class="quiet">· {{ uploaded }}</span></p>
<p class="quiet">{% for tag in tags %}#{{ tag }} {% endfor %}</p>
{% for name, comment in comments %}<p class="comment" id="{{ comment.anchor }}"><strong>{{ name }}</strong>
<br>{{ comment.text }}</p>{% endfor %}
{% endblock %}"""

_CONSENT = """{% extends "frame" %}{% block title %}Sign in{% endblock %}{% block body %}
{% macro request() %}<input type="hidden" name="oauth_token" value="{{ token }}">
<input type="hidden" name="perms" value="{{ perms }}">{% endmacro %}
<h1>Sign in to the sandbox</h1>
<p>An application asks to <strong>{{ {"read": "see your private favorites", "write": "add and remove favorites for you",
"delete": "do anything for you"}[perms] }}</strong>. Choose who you are.</p>
<form method="get">{{ request() }}<input type="search" name="q" value="{{ q }}"
  placeholder="Find somebody by name or NSID" aria-label="Find somebody"> <button>Search</button></form>
<form method="post">{{ request() }}
<div class="people">{% for p in people %}<label class="person">
<input type="radio" name="user_id" value="{{ p.user_id }}"{% if loop.first %} checked{% endif %}>
<img src="{{ p.avatar_url }}" alt=""><span>{{ p.name }}
<small>{{ p.favorites }} favorites{% if p.visitor %} · visitor{% endif %}</small></span></label>
{% else %}<p>Nobody is called that.</p>{% endfor %}</div>
<button class="go" name="decision" value="allow">OK, I'll authorize it</button>
<button name="decision" value="refuse">No, thanks</button></form>
{% endblock %}"""

_NOTE = """{% extends "frame" %}{% block title %}{{ title }}{% endblock %}
{% block body %}<h1>{{ title }}</h1><p>{{ text }}</p>{% endblock %}"""

_TEMPLATES = Environment(
    autoescape=True,
    loader=DictLoader(
        {"frame": _FRAME, "start": _START, "person": _PERSON, "photo": _PHOTO, "consent": _CONSENT, "note": _NOTE}
    ),
)


def render(page: str, **values: object) -> str:
    """The HTML of `start`, `person`, `photo`, `consent` or `note`."""
    return _TEMPLATES.get_template(page).render(**values)
