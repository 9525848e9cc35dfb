# The load balancer, always internal: CloudFront reaches it through a VPC origin, so that nobody gets around the web ACL.
# With a domain it speaks HTTPS alone; without one, plain HTTP within the VPC, as there is no name to certify.

data "aws_ec2_managed_prefix_list" "cloudfront" {
  name = "com.amazonaws.global.cloudfront.origin-facing"
}

resource "aws_security_group" "balancer" {
  name        = "${var.name}-balancer"
  description = "The load balancer: asked by CloudFront, and by operators for MLflow."
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-balancer" })
}

resource "aws_vpc_security_group_ingress_rule" "cloudfront" {
  description       = "CloudFront, through the VPC origin."
  security_group_id = aws_security_group.balancer.id
  prefix_list_id    = data.aws_ec2_managed_prefix_list.cloudfront.id
  ip_protocol       = "tcp"
  from_port         = local.listener_port
  to_port           = local.listener_port
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "service" {
  description                  = "Requests and health checks of the service."
  security_group_id            = aws_security_group.balancer.id
  referenced_security_group_id = var.service_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.service_port
  to_port                      = var.service_port
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "service" {
  description                  = "The load balancer."
  security_group_id            = var.service_security_group_id
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = var.service_port
  to_port                      = var.service_port
  tags                         = var.tags
}

locals {
  listener_port = local.has_domain ? 443 : 80
}

resource "aws_lb" "this" {
  # checkov:skip=CKV_AWS_91: no access log: addresses hold whose wall was asked for, which nothing here logs.
  # checkov:skip=CKV2_AWS_20: with a domain HTTP is redirected (below); without one it is internal and has no certificate.
  # checkov:skip=CKV2_AWS_28: the web ACL is at CloudFront, the only way to it from the internet.
  name                       = var.name
  internal                   = true
  load_balancer_type         = "application"
  subnets                    = var.private_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  idle_timeout               = 60
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  tags                       = var.tags
}

resource "aws_lb_target_group" "service" {
  # checkov:skip=CKV_AWS_378: TLS ends at the load balancer; between it and the tasks lies the VPC.
  name                          = "${var.name}-api"
  port                          = var.service_port
  protocol                      = "HTTP"
  target_type                   = "ip"
  vpc_id                        = var.vpc_id
  deregistration_delay          = 30
  load_balancing_algorithm_type = "least_outstanding_requests"
  tags                          = var.tags

  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "this" {
  # checkov:skip=CKV_AWS_2: without a domain there is no certificate; the listener is internal.
  # checkov:skip=CKV_AWS_103: the policy is one of TLS 1.2 and newer wherever it is HTTPS.
  load_balancer_arn = aws_lb.this.arn
  port              = local.listener_port
  protocol          = local.has_domain ? "HTTPS" : "HTTP"
  certificate_arn   = one(aws_acm_certificate_validation.balancer[*].certificate_arn)
  ssl_policy        = local.has_domain ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null
  tags              = var.tags

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "application/json"
      status_code  = "404"
      message_body = jsonencode({ error = { code = "not_found", message = "there is nothing at this address", field = null } })
    }
  }
}

resource "aws_lb_listener_rule" "api" {
  listener_arn = aws_lb_listener.this.arn
  priority     = 100
  tags         = var.tags

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.service.arn
  }

  condition {
    path_pattern {
      values = local.api_paths
    }
  }
}

resource "aws_lb_listener" "redirect" {
  count = local.has_domain ? 1 : 0

  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"
  tags              = var.tags

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}
