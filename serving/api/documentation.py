"""`/docs`: the page that explains both faces, with the Swagger UI that BentoML brings along; nothing from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>photo-recommender: API</title>
<link rel="stylesheet" href="/static_content/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/static_content/swagger-ui-bundle.js"></script>
<script src="/static_content/swagger-ui-standalone-preset.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

SCRIPT = """window.ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  urls: [
    { url: "/docs.json", name: "for services" },
    { url: "/api/openapi.json", name: "for the website" },
  ],
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
  validatorUrl: null,
  // BentoML introduces itself here, with badges from elsewhere.
  responseInterceptor: (response) => {
    if (new URL(response.url).pathname === "/docs.json") {
      const spec = JSON.parse(response.text);
      spec.info.title = "photo-recommender: for services";
      spec.info.description = "Walls and photos alike, behind a key when one is set (PHOTO_RECOMMENDER_API_KEY).";
      delete spec.info.contact;
      response.text = JSON.stringify(spec);
    }
    return response;
  },
});
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def page() -> HTMLResponse:
    return HTMLResponse(PAGE)


@router.get("/docs/start.js")
def script() -> Response:
    return Response(SCRIPT, media_type="text/javascript")
