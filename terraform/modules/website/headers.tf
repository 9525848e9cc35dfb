# The headers that the service puts on the same files (serving/web/security.py, serving/web/site.py), put on by CloudFront.

locals {
  content_security_policy = join("; ", [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src ${join(" ", concat(["'self'", "data:"], var.image_hosts))}",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ])

  cache_control = {
    assets = "public, max-age=31536000, immutable"
    page   = "no-cache"
  }
}

resource "aws_cloudfront_response_headers_policy" "this" {
  # checkov:skip=CKV_AWS_259: whether names beside the site's speak HTTPS, and whether it is preloaded, is for the domain's owner.
  for_each = local.cache_control

  name    = "${var.name}-${each.key}"
  comment = "Headers of the website's ${each.key}."

  security_headers_config {
    content_security_policy {
      content_security_policy = local.content_security_policy
      override                = true
    }

    content_type_options {
      override = true
    }

    frame_options {
      frame_option = "DENY"
      override     = true
    }

    referrer_policy {
      referrer_policy = "strict-origin-when-cross-origin"
      override        = true
    }

    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = true
    }
  }

  custom_headers_config {
    items {
      header   = "Cache-Control"
      value    = each.value
      override = true
    }

    items {
      header   = "Cross-Origin-Opener-Policy"
      value    = "same-origin"
      override = true
    }

    items {
      header   = "Permissions-Policy"
      value    = "camera=(), geolocation=(), microphone=(), payment=()"
      override = true
    }
  }
}
