"""The built website as the service hands it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from features.errors import ConfigurationError
from features.settings import get_settings
from serving.api.app import create_app
from serving.web.site import Site, SiteMount

PAGE = "<!doctype html><title>wall</title>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "assets").mkdir(parents=True)
    (site / "index.html").write_text(PAGE)
    (site / "favicon.svg").write_text("<svg/>")
    (site / "assets" / "index-BWtNUEa3.js").write_text("start()")
    (tmp_path / "secret.txt").write_text("secret")
    return site


def client_with(folder: Path) -> TestClient:
    """The application with the site in that folder."""
    app = create_app()
    (mount,) = (route for route in app.routes if isinstance(route, SiteMount))
    mount.app = Site(folder)
    return TestClient(app, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def site(folder: Path) -> TestClient:
    return client_with(folder)


@pytest.mark.parametrize("path", ["/", "/index.html", "/wall/12037949754@N01", "/people/dismissed", "/assets", "/api"])
def test_every_place_in_the_site_is_its_one_page(site: TestClient, path: str) -> None:
    answer = site.get(path)
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["Content-Type"].startswith("text/html")


def test_the_page_is_looked_at_anew_each_time_as_it_names_the_assets(site: TestClient) -> None:
    first = site.get("/wall/12037949754@N01")
    assert first.headers["Cache-Control"] == "no-cache"
    again = site.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "no-cache")


def test_an_asset_named_by_its_content_is_kept_forever(site: TestClient) -> None:
    answer = site.get("/assets/index-BWtNUEa3.js")
    assert answer.text == "start()"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_the_page_is_not_kept_forever_though_it_is_asked_for_among_the_assets(site: TestClient) -> None:
    answer = site.get("/assets/nothing")
    assert (answer.text, answer.headers["Cache-Control"]) == (PAGE, "no-cache")


def test_other_files_are_not_kept_forever(site: TestClient) -> None:
    answer = site.get("/favicon.svg")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("path", ["/assets/index-old.js", "/robots.txt", "/%00.js"])
def test_a_missing_file_is_not_found_instead_of_the_page(site: TestClient, path: str) -> None:
    answer = site.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "immutable" not in answer.headers.get("Cache-Control", "")


@pytest.mark.parametrize("path", ["/..%2fsecret.txt", "/assets/..%2f..%2fsecret.txt", "/%2e%2e/secret.txt"])
def test_nothing_beside_the_site_is_handed_out(site: TestClient, path: str) -> None:
    answer = site.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace("secret.txt", "")


@pytest.mark.parametrize("path", ["/api/nothing", "/docs.json", "/static_content/swagger-ui.css"])
def test_the_paths_of_others_are_left_alone(site: TestClient, path: str) -> None:
    answer = site.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_the_site_takes_nothing(site: TestClient) -> None:
    answer = site.post("/wall/12037949754@N01")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("exists", [True, False])
def test_a_site_that_is_not_built_says_how_to_build_it(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "unbuilt"
    if exists:
        folder.mkdir()
    client = client_with(folder)
    answer = client.get("/")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "site_not_built"
    assert "make site" in answer.json()["error"]["message"]
    assert client.get("/docs").status_code == 200


def test_a_site_that_is_built_while_the_service_runs_is_served(tmp_path: Path) -> None:
    folder = tmp_path / "late"
    client = client_with(folder)
    assert client.get("/").status_code == 503
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    assert client.get("/").text == PAGE


@pytest.mark.parametrize("path", ["/", "/index.html", "/wall/12037949754@N01"])
def test_a_script_of_analytics_is_named_in_the_page_and_nothing_is_inline(
    folder: Path, environment: Callable[..., None], path: str
) -> None:
    (folder / "index.html").write_text("<head><title>wall</title></head>")
    environment(analytics_script="https://analytics.example/s.js?site=1&v=2")
    answer = client_with(folder).get(path)
    tag = '<script src="https://analytics.example/s.js?site=1&amp;v=2" async></script>'
    assert answer.text == f"<head><title>wall</title>{tag}</head>"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Content-Type"].startswith("text/html")


def test_without_one_the_page_is_as_it_was_built(folder: Path, environment: Callable[..., None]) -> None:
    environment()
    assert client_with(folder).get("/").text == PAGE


@pytest.mark.parametrize(
    "url",
    [
        "http://analytics.example/s.js",
        "//analytics.example/s.js",
        "javascript:alert(1)",
        "https://*.example/s.js",
        "https://a.example/s.js; script-src *",
        'https://a.example/s.js"><script>',
        "https://user@a.example/s.js",
        "https://a.example:port/s.js",
        "https:///s.js",
        "https://a.example/s.js 'unsafe-inline'",
        "s.js",
    ],
)
def test_what_is_no_address_of_a_script_is_refused_with_an_example(environment: Callable[..., None], url: str) -> None:
    environment(analytics_script=url)
    with pytest.raises(ConfigurationError, match=r"ANALYTICS_SCRIPT.*must be the address of one script, like https://"):
        get_settings()
