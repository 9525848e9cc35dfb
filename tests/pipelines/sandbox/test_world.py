"""The generated world: the same for one configuration, possible, and of the family of a real sample of Flickr."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import sparse

from features.errors import ConfigurationError
from pipelines.sandbox.statistics import world_statistics
from pipelines.sandbox.world import NEVER, WorldConfig, generate_world

END = datetime(2026, 11, 1, tzinfo=UTC)
TINY = WorldConfig(users=60, photos=600, favorites=3_000, seed=3, end=END)
# Quantiles 25 / 50 / 75 / 90 / 99 % of a real sample of Flickr: 8,252 users, 79,484 photos, 295,450 favorites.
SAMPLE = {
    "favorites_a_user": (6, 14, 37, 84, 328),
    "favorites_a_photo": (1, 2, 4, 8, 21),
    "contacts_a_user": (12, 20, 30, 41, 62),
    "followers_a_user": (6, 12, 25, 52, 178),
}


@st.composite
def configs(draw):
    users, photos = draw(st.integers(10, 30)), draw(st.integers(100, 300))
    return WorldConfig(
        users=users,
        visitors=draw(st.integers(0, 4)),
        photos=photos,
        favorites=draw(st.integers(4 * users, users * photos // 10)),
        styles=draw(st.integers(1, 12)),
        seed=draw(st.integers(0, 2**40)),
        end=END,
        days=draw(st.integers(30, 900)),
        future_days=draw(st.integers(1, 90)),
    )


worlds = configs().map(generate_world)
always = hypothesis_settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def tiny():
    return generate_world(TINY)


@pytest.fixture(scope="module")
def dense():
    """As many favorites a user as in the default world, an eighth of its size."""
    return generate_world(WorldConfig(users=500, photos=5_000, favorites=50_000, end=END))


@pytest.fixture(scope="module")
def sampled():
    """Photos and favorites a user as in the sample, an eighth of its size."""
    return generate_world(WorldConfig.sparse(users=1_000, photos=13_000, favorites=35_800, end=END))


def parts(value):
    """Every array and list that the world is made of, by its path."""
    if sparse.issparse(value):
        return {"": value.toarray()}
    if not is_dataclass(value):
        return {"": value}
    return {
        f"{field.name}.{path}": part
        for field in fields(value)
        for path, part in parts(getattr(value, field.name)).items()
    }


def gaps(faves):
    """Seconds between one favorite of a user and the next."""
    same = faves.user[1:] == faves.user[:-1]
    return (faves.faved_at[:-1] - faves.faved_at[1:])[same]


# The same and another


def test_the_same_configuration_is_the_same_world(tiny):
    once, again = parts(tiny), parts(generate_world(TINY))
    assert once.keys() == again.keys()
    for path in once:
        assert np.array_equal(once[path], again[path]), path


def test_another_seed_is_another_world(tiny):
    other = generate_world(WorldConfig(users=60, photos=600, favorites=3_000, seed=4, end=END))
    assert set(tiny.user_ids).isdisjoint(other.user_ids)
    assert set(tiny.photo_ids).isdisjoint(other.photo_ids)
    pairs = [set(zip(w.favorites.user.tolist(), w.favorites.photo.tolist(), strict=True)) for w in (tiny, other)]
    assert len(pairs[0] & pairs[1]) < len(pairs[0]) / 3


# What must hold in any world


@always
@given(world=worlds)
def test_ids_and_names_are_unique(world):
    for column in (world.user_ids, world.user_names, world.photo_ids, [a for a in world.user_aliases if a]):
        assert len(set(column)) == len(column)


@always
@given(world=worlds)
def test_nobody_favors_a_photo_before_it_is_uploaded(world):
    assert (world.favorites.faved_at >= world.photo_uploaded_at[world.favorites.photo]).all()


@always
@given(world=worlds)
def test_nobody_favors_a_photo_of_their_own(world):
    assert (world.photo_owner[world.favorites.photo] != world.favorites.user).all()


@always
@given(world=worlds)
def test_nobody_favors_a_photo_twice(world):
    pairs = world.favorites.user.astype(np.int64) * len(world.photo_ids) + world.favorites.photo
    assert len(np.unique(pairs)) == len(pairs)


@always
@given(world=worlds)
def test_favorites_are_by_user_and_newest_first(world):
    faves = world.favorites
    assert (np.diff(faves.user) >= 0).all()
    assert (gaps(faves) >= 0).all()
    for user in range(len(world.user_ids)):
        assert (faves.user[faves.first[user] : faves.first[user + 1]] == user).all()


@always
@given(world=worlds)
def test_a_favorite_is_taken_back_after_it_was_made(world):
    faves = world.favorites
    assert (faves.unfaved_at >= faves.faved_at).all()


@always
@given(world=worlds)
def test_nobody_dismisses_what_they_ever_favor_or_took_or_what_is_not_uploaded(world):
    faves, dismissals, n_photos = world.favorites, world.dismissals, len(world.photo_ids)
    favored = set((faves.user.astype(np.int64) * n_photos + faves.photo).tolist())
    dismissed = (dismissals.user.astype(np.int64) * n_photos + dismissals.photo).tolist()
    assert favored.isdisjoint(dismissed)
    assert len(set(dismissed)) == len(dismissed)
    assert (world.photo_owner[dismissals.photo] != dismissals.user).all()
    assert (dismissals.dismissed_at >= world.photo_uploaded_at[dismissals.photo]).all()
    assert (dismissals.dismissed_at <= END.timestamp()).all()


@always
@given(world=worlds)
def test_nobody_follows_themselves(world):
    assert world.contacts.diagonal().sum() == 0
    assert set(np.unique(world.contacts.data)) <= {1.0}


@always
@given(world=worlds)
def test_the_world_ends_after_its_future(world):
    faves, last = world.favorites, (END + timedelta(days=world.config.future_days)).timestamp()
    assert world.photo_uploaded_at.max() < last
    assert faves.faved_at.max() <= last
    assert world.photo_uploaded_at.min() >= (END - timedelta(days=world.config.days)).timestamp()


# The family of the real sample


@pytest.mark.parametrize("name", SAMPLE)
def test_quantiles_are_those_of_the_sample(sampled, name):
    found = getattr(world_statistics(sampled), name)[1:6]
    assert found / np.array(SAMPLE[name]) == pytest.approx(np.ones(5), rel=0.4)


def test_popularity_has_the_tail_of_the_sample(sampled):
    found = world_statistics(sampled)
    assert found.top_1_percent == pytest.approx(0.08, abs=0.02)
    assert found.top_10_percent == pytest.approx(0.37, abs=0.05)


def test_in_a_dense_world_few_photos_hold_many_favorites(dense):
    found = world_statistics(dense)
    assert found.top_1_percent > 5 * 0.01
    assert found.top_10_percent > 3 * 0.1
    assert found.favorites_a_photo[-1] > 8 * found.favorites_a_photo[2]


def test_one_contact_in_eight_is_mutual(sampled, dense):
    for world in (sampled, dense):
        assert world_statistics(world).mutual_contacts == pytest.approx(0.12, abs=0.01)


def test_connected_people_share_favorites_more_often_than_people_at_random(sampled, dense):
    found = world_statistics(sampled)
    assert found.sharing_if_connected > 1.5 * found.sharing_at_random
    found = world_statistics(dense)
    assert found.sharing_if_connected > found.sharing_at_random + 0.08


def test_some_have_three_favorites_and_some_very_many(sampled):
    found = np.bincount(sampled.favorites.user[sampled.favorites_at(END)])
    assert found.min() == 3
    assert (found == 3).sum() > 20
    assert found.max() > 25 * np.median(found)


def test_there_are_about_as_many_photos_and_favorites_as_asked_for(dense):
    found = world_statistics(dense)
    assert found.users == 500
    assert found.photos == pytest.approx(5_000, rel=0.05)
    assert found.favorites == pytest.approx(50_000, rel=0.01)


def test_a_sparse_world_is_as_large_as_the_sample():
    config = WorldConfig.sparse(seed=5)
    assert (config.users, config.favorites, config.seed) == (8_252, 295_450, 5)


def test_everybody_has_at_least_three_favorites_at_the_end(tiny, dense, sampled):
    for world in (tiny, dense, sampled):
        assert np.bincount(world.favorites.user[world.favorites_at(END)], minlength=len(world.user_ids)).min() >= 3


# Time


def test_favorites_come_in_sessions(dense):
    between = gaps(dense.favorites)
    assert np.median(between) < 3_600
    assert between.mean() > 86_400


def test_a_photo_gets_most_favorites_soon_and_some_much_later(dense):
    days = world_statistics(dense).days_after_upload
    assert days[2] < 30
    assert days[4] > 90


def test_uploads_come_in_batches_of_one_owner(dense):
    order = np.lexsort((dense.photo_uploaded_at, dense.photo_owner))
    same = np.diff(dense.photo_owner[order]) == 0
    between = np.diff(dense.photo_uploaded_at[order])[same]
    assert (between < 7_200).mean() > 0.25


def test_two_in_a_hundred_favorites_are_taken_back_days_later(dense):
    faves = dense.favorites
    back = faves.unfaved_at != NEVER
    assert back.mean() == pytest.approx(0.02, abs=0.005)
    assert 1 < np.median(faves.unfaved_at[back] - faves.faved_at[back]) / 86_400 < 30
    assert np.bincount(faves.user)[faves.user[back]].min() > 10


def test_the_future_brings_photos_and_favorites_at_the_pace_of_the_past(dense):
    faves, end, config = dense.favorites, END.timestamp(), dense.config
    for times in (dense.photo_uploaded_at, faves.faved_at):
        pace = (times > end).sum() / config.future_days
        assert pace == pytest.approx((times <= end).sum() / config.days, rel=0.5)


# The truth behind it


def test_people_favor_the_styles_that_they_like(dense):
    users = np.arange(500)
    tastes = dense.tastes(users, END)
    assert tastes.sum(axis=1) == pytest.approx(np.ones(500), abs=1e-5)
    favored = np.zeros_like(tastes)
    mine = dense.favorites.user < 500
    np.add.at(favored, (dense.favorites.user[mine], dense.photo_style[dense.favorites.photo[mine]]), 1)
    likes_most = tastes.argmax(axis=1)
    share = favored[users, likes_most] / favored.sum(axis=1)
    assert share.mean() > 3 / dense.config.styles


def test_what_is_dismissed_is_liked_less_than_what_is_shown(dense):
    dismissals, truth = dense.dismissals, dense.truth
    liking = np.einsum("nf,nf->n", truth.user_factors[dismissals.user], truth.photo_factors[dismissals.photo])
    shown = truth.user_factors @ truth.photo_factors[: dense.config.uploads].T
    assert liking.mean() < shown.mean() - shown.std() / 2
    each = np.bincount(dismissals.user, minlength=512)
    assert (each == 0).any()
    assert 1 <= np.median(each[each > 0]) <= 10


def test_true_scores_rank_what_is_favored_next_above_the_rest(dense):
    users = np.arange(100)
    scores = dense.true_scores(users, END)
    faves, end = dense.favorites, END.timestamp()
    soon = (faves.faved_at > end) & (faves.faved_at < end + 3 * 86_400) & (faves.user < 100)
    user, photo = faves.user[soon], faves.photo[soon]
    known = dense.photo_uploaded_at[photo] <= end
    standing = scores[:, dense.photo_uploaded_at <= end]
    above = (scores[user[known], photo[known], None] > standing[user[known]]).mean(axis=1)
    assert known.sum() > 30
    assert above.mean() > 0.85


def test_true_scores_exclude_what_is_not_uploaded_and_the_users_own(dense):
    users = np.arange(40)
    scores = dense.true_scores(users, END)
    there = (dense.photo_uploaded_at <= END.timestamp())[None, :] & (dense.photo_owner[None, :] != users[:, None])
    assert np.array_equal(np.isfinite(scores), there)


# What can't be


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("users", 9),
        ("visitors", -1),
        ("photos", 99),
        ("styles", 0),
        ("styles", 13),
        ("seed", -1),
        ("days", 29),
        ("future_days", 0),
        ("favorites", 239),
        ("favorites", 3_601),
        ("end", datetime(2026, 11, 1)),  # noqa: DTZ001 (that it has no zone is what is refused)
        ("end", datetime(2026, 11, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_world_that_cannot_be_is_refused_with_the_field_and_its_value(field, value):
    with pytest.raises(ConfigurationError, match=f"{field}=") as refused:
        WorldConfig(**{"users": 60, "photos": 600, "favorites": 3_000, field: value})
    assert refused.value.field == field
    assert str(value) in refused.value.message
