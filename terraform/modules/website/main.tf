# How CloudFront serves the website's files: hashed ones for ever, the page anew each time, so that a new version needs no
# invalidation. The bucket's policy, which lets that one distribution read it, is module storage's: a bucket has only one.

resource "aws_cloudfront_origin_access_control" "this" {
  name                              = "${var.name}-site"
  description                       = "Signs CloudFront's requests for the files of ${var.name}."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# An address without an extension is a place in the page, as the service itself has it (serving/web/site.py).
resource "aws_cloudfront_function" "page" {
  name    = "${var.name}-page"
  comment = "The page for every address that is a place in it."
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = file("${path.module}/page.js")
}

resource "aws_cloudfront_cache_policy" "assets" {
  name        = "${var.name}-assets"
  comment     = "Files named by their content: they never change."
  min_ttl     = 31536000
  default_ttl = 31536000
  max_ttl     = 31536000

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true

    cookies_config {
      cookie_behavior = "none"
    }

    headers_config {
      header_behavior = "none"
    }

    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

resource "aws_cloudfront_cache_policy" "page" {
  name        = "${var.name}-page"
  comment     = "The page: asked for anew after a few seconds, so that a new version is there at once."
  min_ttl     = 0
  default_ttl = 5
  max_ttl     = 5

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true

    cookies_config {
      cookie_behavior = "none"
    }

    headers_config {
      header_behavior = "none"
    }

    query_strings_config {
      query_string_behavior = "none"
    }
  }
}
