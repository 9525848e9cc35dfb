# Names and certificates, where a domain is given: one certificate for CloudFront (which wants it in us-east-1), one for the
# load balancer. Both are proved by the same DNS records, as ACM asks for the same ones for a name in every region.

locals {
  balancer_names = !local.has_domain ? [] : var.mlflow_login == null ? [var.domain] : [var.domain, local.mlflow_host]
}

resource "aws_acm_certificate" "cloudfront" {
  count    = local.has_domain ? 1 : 0
  provider = aws.us_east_1

  domain_name       = var.domain
  validation_method = "DNS"
  tags              = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_acm_certificate" "balancer" {
  count = local.has_domain ? 1 : 0

  domain_name               = var.domain
  subject_alternative_names = setsubtract(local.balancer_names, [var.domain])
  validation_method         = "DNS"
  tags                      = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "proof" {
  for_each = {
    for name in local.balancer_names : name => one([
      for option in aws_acm_certificate.balancer[0].domain_validation_options : option if option.domain_name == name
    ])
  }

  zone_id         = var.hosted_zone_id
  name            = each.value.resource_record_name
  type            = each.value.resource_record_type
  records         = [each.value.resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "cloudfront" {
  count    = local.has_domain ? 1 : 0
  provider = aws.us_east_1

  certificate_arn         = aws_acm_certificate.cloudfront[0].arn
  validation_record_fqdns = [aws_route53_record.proof[var.domain].fqdn]
}

resource "aws_acm_certificate_validation" "balancer" {
  count = local.has_domain ? 1 : 0

  certificate_arn         = aws_acm_certificate.balancer[0].arn
  validation_record_fqdns = [for record in aws_route53_record.proof : record.fqdn]
}

resource "aws_route53_record" "site" {
  for_each = toset(local.has_domain ? ["A", "AAAA"] : [])

  zone_id = var.hosted_zone_id
  name    = var.domain
  type    = each.value

  alias {
    name                   = aws_cloudfront_distribution.this.domain_name
    zone_id                = aws_cloudfront_distribution.this.hosted_zone_id
    evaluate_target_health = false
  }
}
