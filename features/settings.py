"""Every setting, in one class: its name in the environment is `PHOTO_RECOMMENDER_` and the field's name.

Every default is embedded (folders and SQLite files below `home`), so that nothing needs to be set to begin with.
Switching one part to its twin on AWS is one variable.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from features.errors import ConfigurationError
from features.setting_types import Networks, Rates, ScriptUrl

PREFIX = "PHOTO_RECOMMENDER_"


class Settings(BaseSettings):
    """The configuration of every process. Raises pydantic's ValidationError for a value that does not fit."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    # Where state lives
    home: Path = Field(Path("var"), description="Folder of everything embedded: lake, databases, models, logs.")
    lake_uri: str = Field("", description="The lake: a folder or `s3://bucket/prefix`. Default: `<home>/lake`.")
    database_url: str = Field("", description="SQL database (SQLAlchemy URL). Default: SQLite below `home`.")
    online_store: str = Field("", description="Online features: `redis://host:port/db`. Default: SQLite below `home`.")
    registry_url: str = Field("", description="Feast's registry (SQLAlchemy URL). Default: SQLite below `home`.")
    mlflow_uri: str = Field("", description="MLflow tracking and registry. Default: SQLite below `home`.")
    mlflow_artifacts: str = Field("", description="Where MLflow keeps artifacts. Default: `<home>/mlflow/artifacts`.")

    # Flickr
    flickr_key: str = Field("", description="Flickr API key.")
    flickr_secret: SecretStr = Field(SecretStr(""), description="Flickr API secret.")
    flickr_rest_url: str = Field("https://api.flickr.com/services/rest/", description="Flickr's REST endpoint.")
    flickr_oauth_url: str = Field("https://www.flickr.com/services/oauth", description="Flickr's OAuth endpoints.")
    flickr_site_url: str = Field("https://www.flickr.com", description="Where Flickr's own pages live.")
    flickr_timeout: float = Field(20.0, gt=0, description="Seconds to wait for one answer of Flickr.")
    flickr_attempts: int = Field(6, ge=1, description="How often one call is tried before it fails.")
    flickr_calls_per_hour: int = Field(3600, ge=1, description="Flickr's limit for the whole key; never exceeded.")
    flickr_calls_per_second: int = Field(10, ge=1, description="The most calls in any one second.")
    budget_url: str = Field(
        "", description="Where calls are counted: `redis://host:port/db`. Default: SQLite below `home`."
    )

    # Pulling
    pull_max_favorites: int = Field(50_000, ge=1, description="Favorites kept of one user, newest first.")
    pull_max_neighbors: int = Field(300, ge=0, description="Neighbors whose favorites are pulled for one user.")
    pull_fresh_minutes: int = Field(1440, ge=0, description="A neighbor pulled this recently is not pulled again.")
    queue_url: str = Field(
        "", description="The queue of pulls: `sqs://name`, the beginning of the queues' names. Default: a table in SQL."
    )
    lease_seconds: int = Field(120, ge=1, description="How long a worker holds a request without extending it.")
    commit_rows: int = Field(50_000, ge=1, description="A worker commits to the lake when so many rows are waiting…")
    commit_seconds: float = Field(2.0, ge=0, description="…or when the first of them has waited so long.")
    refresh_min_minutes: float = Field(15.0, ge=0, description="Nobody is refreshed more often than this.")
    refresh_max_hours: float = Field(168.0, gt=0, description="Nobody whom a wall needs waits longer for a refresh.")
    inactive_days: int = Field(60, ge=1, description="Who has not visited for so long is no longer refreshed.")
    sweep_days: float = Field(30.0, gt=0, description="Within so many days every page is looked at for deletions.")
    breaker_failures: int = Field(8, ge=1, description="Failures of Flickr in a row after which calls are held back…")
    breaker_seconds: float = Field(30.0, gt=0, description="…for so long, before one is tried.")
    lake_retention_days: float = Field(7.0, ge=0, description="How long the lake keeps files that nothing needs.")
    erasure_key: SecretStr = Field(
        SecretStr(""), description="Keys the hashes of erased users; never change it. Default: made below `home`."
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Worker and scheduler serve Prometheus metrics on this port; 0: they don't."
    )

    # Features
    feature_history_days: int = Field(60, ge=1, description="Days of history that time-dependent features keep.")
    neighbor_photos: int = Field(500, ge=1, description="Photos in `neighbor_candidates`.")
    neighbor_people: int = Field(50, ge=0, description="People in `neighbor_candidates`.")

    # Training
    model_name: str = Field("photo-recommender", description="Name of the registered model in MLflow.")
    als_factors: int = Field(64, ge=1, description="Length of a user's and a photo's vector.")
    als_regularization: float = Field(
        5.0, gt=0, description="λ for each favorite that a photo has on average: denser data takes more."
    )
    als_iterations: int = Field(15, ge=1, description="Alternations of a training.")
    als_gpu: bool = Field(False, description="Fit ALS on a GPU, where `implicit` finds one; else the log says so.")
    als_engine: Literal["implicit", "spark", "mllib"] = Field(
        "implicit",
        description="What fits ALS: `implicit` here, `spark`: the same on executors, or `mllib`: Spark's own ALS.",
    )
    spark_master: str = Field(
        "local[2]", description="Where Spark runs, unless `spark-submit` has started the process and says so."
    )
    spark_memory: str = Field("4g", description="Memory of the driver's JVM; `spark-submit` has its own option.")
    spark_blocks: int = Field(
        8, ge=1, description="Parts into which Spark divides users and photos: two or three for each core."
    )
    mllib_regularization: float = Field(
        0.1, gt=0, description="λ of Spark's own ALS for each favorite that a user or photo has."
    )
    confidence_alpha: float = Field(4.0, gt=0, description="α: a favorite's confidence is 1 + α·w.")
    confidence_alpha_dismissal: float = Field(10.0, gt=0, description="α_d: a dismissal's confidence is 1 + α_d·w.")
    recency_half_life_days: float = Field(60.0, gt=0, description="Days after which a favorite's weight is halved.")
    degree_exponent: float = Field(0.35, ge=0, le=1, description="0: no degree weighting; 0.5: 1/√(degree·degree).")
    train_blend: bool = Field(True, description="Compare a blend of all models too, and register it where it is best.")
    blend_thorough: bool = Field(False, description="Try local EASE and GF-CF for the blend, too: minutes more.")
    blend_als_seeds: int = Field(
        1, ge=1, le=5, description="How many ALS of different starts a blend averages: each is a scan more in serving."
    )
    ann_photos: int = Field(
        100_000, ge=0, description="Photos from which a training adds a graph, so that requests don't read all factors."
    )
    holdout_days: float = Field(14.0, gt=0, description="The newest days, held out to evaluate.")
    gate_coverage: float = Field(
        0.8, ge=0, le=1, description="The gate: a challenger covers at least this share of what the champion covers…"
    )
    gate_segment_loss: float = Field(
        0.1, ge=0, le=1, description="…loses at most this share of NDCG in any segment of users by activity…"
    )
    gate_catalog: float = Field(
        0.5, ge=0, le=1, description="…knows at least this share of the photos that the champion knows…"
    )
    gate_latency_ms: float = Field(
        25.0, gt=0, description="…and makes 95 % of recommendations within so many milliseconds."
    )
    retrain_growth: float = Field(
        0.1, gt=0, description="A training is due when favorites are by this share more, or fewer, than the champion's…"
    )
    retrain_drift: float = Field(
        0.25, gt=0, description="…or when a distribution has drifted by more than this (population stability index)…"
    )
    retrain_max_days: float = Field(30.0, gt=0, description="…or when the champion is so old.")
    retrain_min_hours: float = Field(
        6.0, ge=0, description="No training is due sooner after the last; twice as long for each that the gate refused."
    )
    retrain_check_hours: float = Field(
        1.0, ge=0, description="The scheduler asks so often whether a training is due, and runs it; 0: it never does."
    )
    fresh_photos_hours: float = Field(
        1.0, ge=0, description="The scheduler takes new photos into the champion so often (a minor version; 0: never)…"
    )
    fresh_photos_favoriters: int = Field(3, ge=1, description="…once so many people have favorited them.")
    seed: int = Field(0, description="The same seed and data give the same model.")

    # Serving
    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: int = Field(3000, ge=1, le=65535, description="Port the service listens on.")
    public_url: str = Field("", description="The website's address as people see it. Default: http://localhost:<port>.")
    api_key: SecretStr = Field(SecretStr(""), description="When set, /recommend and /similar ask for it (Bearer).")
    token_keys: Annotated[list[SecretStr], NoDecode] = Field(
        default_factory=list, description="Fernet keys, newest first, comma separated. Default: made below `home`."
    )
    image_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["https://live.staticflickr.com", "https://*.staticflickr.com"],
        description="Where pictures may come from (CSP `img-src`), comma separated.",
    )
    workers: int = Field(
        1, ge=1, le=64, description="Processes that serve on one port; they share the model's arrays in memory."
    )
    model_poll_seconds: float = Field(30.0, gt=0, description="How often the service looks for a new champion.")
    model_floor: str = Field(
        "", description="Folder of a bundle that is served while there is no other: absolute, or below the code."
    )
    challenger_share: float = Field(
        0.0, ge=0, le=50, description="Percent of the users whose walls the challenger ranks, where one is put up."
    )
    impressions_seconds: float = Field(
        30.0, gt=0, description="What walls showed goes to the lake when it has waited so long…"
    )
    impressions_rows: int = Field(
        5_000,
        ge=1,
        description="…or when so many rows are waiting. Ten times as many are kept while the lake takes none.",
    )
    online_timeout_ms: float = Field(
        50.0, gt=0, description="So long a wall waits for an answer of Redis; then it is made of what was read before."
    )
    card_seconds: float = Field(
        30.0, ge=0, description="A photo's title and sizes may be so old on walls. Takedowns don't wait for it."
    )
    last_known_mb: int = Field(
        64, ge=1, description="Memory of a process for what it read lately, about: walls while Redis does not answer."
    )
    max_inflight: int = Field(
        64,
        ge=1,
        description="Requests a process has at once, at most half of them such as ask Flickr; more are answered 429.",
    )
    drain_seconds: float = Field(
        1.0, ge=0, description="After SIGTERM `/readyz` says no, and so long requests are still taken."
    )
    rerank_diversity: float = Field(
        3.0, ge=0, description="What a photo loses that is just like one before it, in standard deviations of scores…"
    )
    rerank_freshness: float = Field(
        1.0, ge=0, description="…what one gains that was uploaded now (half of it after a week)…"
    )
    rerank_exploration: float = Field(
        0.05, ge=0, le=0.5, description="…the share of a page that goes to photos of which little is known…"
    )
    rerank_owner_cap: int = Field(
        3, ge=0, description="…and photos of one owner on a page, while others have any left. 0: off, as in all four."
    )
    shown_visits: int = Field(
        5, ge=1, description="A photo that a person saw on so many visits and did not fave is left out of their wall…"
    )
    shown_rest_days: int = Field(
        30, ge=0, le=90, description="…until they have not seen it for so many days. 0: nothing is left out."
    )
    session_days: int = Field(30, ge=1, description="A session ends so long after sign-in.")
    onboarding_groups: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Flickr groups whose photos people with few favorites begin with: ids like 34427469792@N01, "
        "comma separated.",
    )
    lookup_rate: Rates = Field("10/minute", description="So often a session may look people up…")
    lookup_rate_address: Rates = Field("30/minute;150/hour", description="…and all sessions of one address together.")
    pull_rate: Rates = Field("30/minute;200/hour", description="So often a session may ask for pulls…")
    pull_rate_address: Rates = Field("300/minute;2000/hour", description="…and all sessions of one address together.")
    trusted_proxies: Annotated[Networks, NoDecode] = Field(
        default_factory=list,
        description="Addresses or networks of the proxies whose X-Forwarded-For is believed, comma separated.",
    )
    status_details: bool = Field(False, description="The page /status shows errors and dead letters, too: to anybody.")
    analytics_script: ScriptUrl = Field(
        "", description="Address (https) of a script that every page of the website loads; empty: none."
    )
    sandbox_url: str = Field("", description="The Flickr sandbox, when it stands in for Flickr (the demo sets it).")

    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or by whether standard error is a terminal."
    )

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, object]) -> dict[str, object]:
        for name in ("token_keys", "image_hosts", "onboarding_groups", "trusted_proxies"):
            value = values.get(name)
            if isinstance(value, str):
                values[name] = [part.strip() for part in value.split(",") if part.strip()]
        return values

    @model_validator(mode="after")
    def _fill_in(self) -> Settings:
        home = self.home.absolute()
        defaults = {
            "home": home,
            "lake_uri": self.lake_uri or str(home / "lake"),
            "database_url": self.database_url or f"sqlite:///{home / 'photo_recommender.db'}",
            "registry_url": self.registry_url or f"sqlite:///{home / 'feast' / 'registry.db'}",
            "mlflow_uri": self.mlflow_uri or f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
            "budget_url": self.budget_url or f"sqlite:///{home / 'budget.db'}",
            "mlflow_artifacts": self.mlflow_artifacts or str(home / "mlflow" / "artifacts"),
            "public_url": self.public_url or f"http://localhost:{self.port}",
        }
        for name, value in defaults.items():
            object.__setattr__(self, name, value)
        return self

    def environment(self) -> dict[str, str]:
        """This configuration as environment variables, for the processes that a job starts (secrets included)."""

        def text(value: object) -> str:
            if isinstance(value, SecretStr):
                return value.get_secret_value()
            if isinstance(value, list):
                return ",".join(text(part) for part in value)
            return str(value)

        return {f"{PREFIX}{name.upper()}": text(getattr(self, name)) for name in type(self).model_fields}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once from the environment and `.env`.

    Raises ConfigurationError, which names the variable, the value and what is wrong with it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else PREFIX + "*"
        raise ConfigurationError(f"{name}={first['input']!r}: {first['msg']}. Correct or unset it.") from None
