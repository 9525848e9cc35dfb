# The web ACL at CloudFront: rate limits for an address, tighter ones for what costs calls of Flickr, and AWS's lists of
# known bad. What is blocked is logged without the address that was asked for, which would say whose wall it is.

locals {
  costly_paths = ["/api/session/login", "/api/users/lookup", "/api/groups/"]
  managed_rules = {
    AWSManagedRulesAmazonIpReputationList = { priority = 30, counted = [] }
    AWSManagedRulesKnownBadInputsRuleSet  = { priority = 40, counted = [] }
    # What a wall showed is reported in bodies of more than 8 KB; the service has its own limit (serving/web/door.py).
    AWSManagedRulesCommonRuleSet = { priority = 50, counted = ["SizeRestrictions_BODY"] }
  }
}

resource "aws_wafv2_web_acl" "this" {
  # checkov:skip=CKV_AWS_192: AWSManagedRulesKnownBadInputsRuleSet, Log4j among it, is in local.managed_rules.
  provider = aws.us_east_1

  name        = var.name
  description = "What the internet may not do to ${var.name}."
  scope       = "CLOUDFRONT"
  tags        = var.tags

  default_action {
    allow {}
  }

  custom_response_body {
    key          = "too_many"
    content_type = "APPLICATION_JSON"
    content      = jsonencode({ error = { code = "overloaded", message = "too many requests from this address: try again in five minutes", field = null } })
  }

  rule {
    name     = "rate-of-an-address"
    priority = 10

    action {
      block {
        custom_response {
          response_code            = 429
          custom_response_body_key = "too_many"
        }
      }
    }

    statement {
      rate_based_statement {
        aggregate_key_type    = "IP"
        evaluation_window_sec = 300
        limit                 = var.rate_limits.all
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate-of-an-address"
      sampled_requests_enabled   = false
    }
  }

  rule {
    name     = "rate-of-costly-paths"
    priority = 20

    action {
      block {
        custom_response {
          response_code            = 429
          custom_response_body_key = "too_many"
        }
      }
    }

    statement {
      rate_based_statement {
        aggregate_key_type    = "IP"
        evaluation_window_sec = 300
        limit                 = var.rate_limits.costly

        scope_down_statement {
          or_statement {
            dynamic "statement" {
              for_each = local.costly_paths

              content {
                byte_match_statement {
                  positional_constraint = "STARTS_WITH"
                  search_string         = statement.value

                  field_to_match {
                    uri_path {}
                  }

                  text_transformation {
                    priority = 0
                    type     = "NORMALIZE_PATH"
                  }
                }
              }
            }

            statement {
              byte_match_statement {
                positional_constraint = "ENDS_WITH"
                search_string         = "/pull"

                field_to_match {
                  uri_path {}
                }

                text_transformation {
                  priority = 0
                  type     = "NORMALIZE_PATH"
                }
              }
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate-of-costly-paths"
      sampled_requests_enabled   = false
    }
  }

  dynamic "rule" {
    for_each = local.managed_rules

    content {
      name     = rule.key
      priority = rule.value.priority

      override_action {
        none {}
      }

      statement {
        managed_rule_group_statement {
          name        = rule.key
          vendor_name = "AWS"

          dynamic "rule_action_override" {
            for_each = rule.value.counted

            content {
              name = rule_action_override.value

              action_to_use {
                count {}
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.key
        sampled_requests_enabled   = false
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false
  }
}

resource "aws_cloudwatch_log_group" "firewall" {
  provider = aws.us_east_1

  # checkov:skip=CKV_AWS_158: it lies in us-east-1, where the deployment has no key; what would be private is redacted.
  # checkov:skip=CKV_AWS_338: kept as long as the other logs.
  name              = "aws-waf-logs-${var.name}"
  retention_in_days = 30
  tags              = var.tags
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  provider = aws.us_east_1

  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.firewall.arn]

  redacted_fields {
    uri_path {}
  }

  redacted_fields {
    query_string {}
  }

  redacted_fields {
    single_header {
      name = "cookie"
    }
  }

  redacted_fields {
    single_header {
      name = "authorization"
    }
  }

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }
}
