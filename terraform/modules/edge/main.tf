# What the internet reaches: CloudFront, before the site's bucket and an internal load balancer that it reaches through a VPC
# origin. /api and /livez lead to the service; nothing leads to the model's endpoints (/recommend, /similar) or /metrics.

locals {
  has_domain = var.domain != ""
  site_host  = local.has_domain ? var.domain : aws_cloudfront_distribution.this.domain_name
  api_paths  = ["/api/*", "/livez"]
}

resource "aws_cloudfront_vpc_origin" "api" {
  tags = var.tags

  vpc_origin_endpoint_config {
    name                   = "${var.name}-api"
    arn                    = aws_lb.this.arn
    http_port              = 80
    https_port             = 443
    origin_protocol_policy = local.has_domain ? "https-only" : "http-only"

    origin_ssl_protocols {
      items    = ["TLSv1.2"]
      quantity = 1
    }
  }
}

data "aws_cloudfront_cache_policy" "disabled" {
  name = "Managed-CachingDisabled"
}

# With the Host header: the service compares it with the page's own origin, and the certificate is for that name.
data "aws_cloudfront_origin_request_policy" "all" {
  name = "Managed-AllViewer"
}

resource "aws_cloudfront_distribution" "this" {
  # checkov:skip=CKV_AWS_86: no access log: addresses hold whose wall was asked for, which nothing here logs.
  # checkov:skip=CKV_AWS_310: files and API have one origin each; there is no second one to fail over to.
  # checkov:skip=CKV_AWS_174: where no domain is given, CloudFront's own certificate sets the oldest TLS.
  # checkov:skip=CKV2_AWS_42: the same.
  # checkov:skip=CKV2_AWS_32: files have one (module website); answers of the API carry the service's own headers.
  # checkov:skip=CKV2_AWS_47: AWSManagedRulesKnownBadInputsRuleSet is in the web ACL, by a dynamic block.
  # checkov:skip=CKV_AWS_374: Flickr's members are everywhere.
  comment             = "The website of ${var.name}."
  enabled             = true
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  price_class         = var.price_class
  default_root_object = "index.html"
  aliases             = local.has_domain ? [var.domain] : []
  web_acl_id          = aws_wafv2_web_acl.this.arn
  tags                = var.tags

  origin {
    origin_id                = "site"
    domain_name              = var.site_bucket_domain
    origin_access_control_id = var.site.origin_access_control_id
  }

  origin {
    origin_id   = "api"
    domain_name = aws_lb.this.dns_name

    vpc_origin_config {
      vpc_origin_id            = aws_cloudfront_vpc_origin.api.id
      origin_read_timeout      = 60
      origin_keepalive_timeout = 30 # shorter than the load balancer's, which would close a connection as it is used
    }
  }

  default_cache_behavior {
    target_origin_id           = "site"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = var.site.cache_policy_ids["page"]
    response_headers_policy_id = var.site.response_headers_policy_ids["page"]

    function_association {
      event_type   = "viewer-request"
      function_arn = var.site.page_function_arn
    }
  }

  ordered_cache_behavior {
    path_pattern               = "/assets/*"
    target_origin_id           = "site"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = var.site.cache_policy_ids["assets"]
    response_headers_policy_id = var.site.response_headers_policy_ids["assets"]
  }

  # The service's answers carry the headers of serving/web/security.py themselves.
  dynamic "ordered_cache_behavior" {
    for_each = local.api_paths

    content {
      path_pattern             = ordered_cache_behavior.value
      target_origin_id         = "api"
      viewer_protocol_policy   = "https-only"
      allowed_methods          = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
      cached_methods           = ["GET", "HEAD"]
      compress                 = false # progress is a stream
      cache_policy_id          = data.aws_cloudfront_cache_policy.disabled.id
      origin_request_policy_id = data.aws_cloudfront_origin_request_policy.all.id
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = !local.has_domain
    acm_certificate_arn            = one(aws_acm_certificate_validation.cloudfront[*].certificate_arn)
    ssl_support_method             = local.has_domain ? "sni-only" : null
    minimum_protocol_version       = local.has_domain ? "TLSv1.2_2021" : null
  }
}
