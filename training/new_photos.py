"""Photos that came after a training: found, numbered behind those that a model knows, and taken into it.

ALS gets their factors by the ridge regressions that gave it all others, the known photos held fixed. Every other model
is a closed form of the favorites, so its recipe makes it anew from today's: a photo counts by them, new or not. What
stands on contacts keeps the users of the training, as contacts are rows of these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.sorting import ascending
from training.catalog import Catalog
from training.interactions import NOBODY, Events, Histories, Interactions
from training.keys import Rows
from training.models.als import ALS, Factors
from training.models.blend import Blend, Part
from training.models.contact_photos import ContactPhotos
from training.models.contact_vectors import ContactVectors
from training.models.interface import Model
from training.models.recipes import Recipe, fit

ALTERNATIONS = 4
"""Half iterations for the users and as many for the new photos. After the first, photos are too weak, as the users'
vectors know nothing of them; after the fourth little moves (docs/decisions/0022-new-photos.md)."""


def new_rows(everything: Interactions, known: Catalog, favoriters: int) -> Rows:
    """Rows in `everything` of the photos that `known` lacks and so many users have favorited, most favorited first."""
    enough = np.flatnonzero(everything.photo_degrees >= favoriters)
    return enough[known.rows(everything.catalog.photo_ids[enough]) < 0]


def followed_by(known: Catalog, everything: Interactions, rows: Rows) -> Catalog:
    """The known photos as they are, then those of the rows of `everything`."""
    return Catalog(
        np.concatenate([known.photo_ids, everything.catalog.photo_ids[rows]]),
        np.concatenate([known.owner_ids, everything.catalog.owner_ids[rows]]),
    )


def numbered_as(everything: Interactions, catalog: Catalog) -> Interactions:
    """The same events in the rows of another catalog; photos that it lacks are left out, and users without any other
    favorite.

    A photo of the catalog that nobody favorites any more keeps its row, without events. Contacts are left out: whoever
    needs them has the users of the training.
    """
    rows = catalog.rows(everything.catalog.photo_ids)
    degrees = np.bincount(everything.favorites.users[rows[everything.favorites.photos] >= 0], minlength=1)
    kept = np.flatnonzero(degrees)
    user_rows = np.full(everything.n_users, -1)
    user_rows[kept] = np.arange(len(kept))

    def renumbered(events: Events) -> Events:
        users, photos = user_rows[events.users], rows[events.photos]
        known = (users >= 0) & (photos >= 0)
        keys, order = ascending(users[known] * len(catalog) + photos[known])
        return Events.of_keys(keys, events.times[known][order], len(catalog), events.shares[known][order])

    return replace(
        everything,
        user_ids=everything.user_ids[kept],
        catalog=catalog,
        favorites=renumbered(everything.favorites),
        dismissals=renumbered(everything.dismissals),
        contacts=None,
    )


def with_new_photos(model: Model, recipe: Recipe, interactions: Interactions) -> Model:
    """The model with rows for all photos of `interactions`, whose catalog begins with the photos that it knows.

    recipe: what made the model. ALS keeps all it has learned (`fold_in_photos`); a blend keeps its weights and units.
    Contacts' vectors need an ALS with its user factors.
    """
    if isinstance(model, ALS):
        return fold_in_photos(model, interactions)
    if isinstance(model, ContactPhotos):
        return model.of_today(interactions)
    if not isinstance(model, Blend):
        return fit(recipe, interactions)
    described = {one["name"]: Recipe(one["kind"], dict(one["parameters"])) for one in recipe.parameters["components"]}
    # An ALS and the contacts' vectors that stand on it must be one: they are saved once.
    with_users = {
        described[one.name].parameters["als"]: one.model.als
        for one in model.components
        if isinstance(one.model, ContactVectors)
    }
    parts: dict[str, Part] = {}
    for one in model.components:
        recipe_of_part, part = described[one.name], with_users.get(one.name, one.model)
        if isinstance(part, ContactVectors):
            als = parts[recipe_of_part.parameters["als"]]
            if not isinstance(als, ALS):
                raise ValueError(f"{one.name} stands on {recipe_of_part.parameters['als']}, which is no ALS")
            parts[one.name] = ContactVectors(als)
        else:
            parts[one.name] = with_new_photos(part, recipe_of_part, interactions)
    return Blend(tuple(replace(one, model=parts[one.name]) for one in model.components))


def fold_in_photos(als: ALS, interactions: Interactions) -> ALS:
    """ALS with factors for the photos behind those that it knows; of what it has learned only the gram changes.

    y_i = (XᵀX + λI + Σ_u (|c_ui| − 1) x_u x_uᵀ)⁻¹ Σ_{u likes i} c_ui x_u, half an iteration of ALS (equation 5 of Hu,
    Koren, Volinsky 2008) with X the users' vectors. These are folded in from the known photos at first and then from
    the new ones too, `ALTERNATIONS` times in all, as in serving a favorite of a new photo says something of its user.
    The confidences are those of training; those of a new photo count its favorites of today.
    """
    n_known = len(als.photo_factors)
    everybody = interactions.histories(np.arange(interactions.n_users))
    of_photos = histories_of_photos(interactions, n_known)
    # A photo is folded in as a user is, the roles exchanged: confidences are symmetric in users and photos.
    user_degrees = np.maximum(interactions.user_degrees, 1).astype(np.float32)
    by_user = replace(als.weighting, photo_degrees=user_degrees)
    extended, histories = als, among_first(everybody, n_known)
    with threadpool_limits(1, "blas"):
        for _ in range(ALTERNATIONS):
            users = extended.fold_in(histories)
            factors = ALS(users, users.T @ users, als.regularization, by_user).fold_in(of_photos)
            extended, histories = _followed_by(als, factors, interactions.photo_degrees[n_known:]), everybody
    return extended


def _followed_by(als: ALS, factors: Factors, degrees: Rows) -> ALS:
    """The ALS with further photos of these factors and numbers of favorites."""
    known, new = als.weighting.photo_degrees, np.maximum(degrees, 1).astype(np.float32)
    return replace(
        als,
        photo_factors=np.concatenate([als.photo_factors, factors]),
        gram=als.gram + factors.T @ factors,
        weighting=replace(als.weighting, photo_degrees=np.concatenate([known, new])),
    )


def histories_of_photos(interactions: Interactions, first: int) -> Histories:
    """Who favorited and who dismissed each photo from row `first` on: histories in which users stand for photos.

    `photo_rows` are rows of the users; there are no contacts.
    """
    parts = []
    for events in (interactions.favorites, interactions.dismissals):
        taken = events.photos >= first
        parts.append((events.photos[taken] - first, events.users[taken], events.times[taken], events.shares[taken]))
    photos, users, times, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(photos, kind="stable")  # a photo's favorites stay before its dismissals
    positive = np.arange(len(photos)) < len(parts[0][0])
    n_photos = interactions.n_photos - first
    return Histories(
        indptr=_offsets(photos, n_photos),
        photo_rows=users[order],
        times=times[order],
        positive=positive[order],
        contact_indptr=np.zeros(n_photos + 1, dtype=np.int64),
        contacts=NOBODY,
        shares=shares[order],
    )


def among_first(histories: Histories, n_photos: int) -> Histories:
    """What of the histories is about the first photos of the catalog."""
    kept = histories.photo_rows < n_photos
    return replace(
        histories,
        indptr=_offsets(histories.users[kept], len(histories)),
        photo_rows=histories.photo_rows[kept],
        times=histories.times[kept],
        positive=histories.positive[kept],
        shares=histories.shares[kept],
    )


def _offsets(rows: Rows, n_rows: int) -> Rows:
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))]).astype(np.int64)
