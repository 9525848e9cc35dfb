# MLflow for people: on the same internal load balancer, from the operators' network (VPN) alone, after signing in at a
# Cognito user pool (behind which your SSO stands). Without `mlflow_login` MLflow is reached from within the VPC only.

locals {
  mlflow_host = "mlflow.${var.domain}"
  mlflow      = var.mlflow_login == null ? {} : { mlflow = var.mlflow_login }
  mlflow_port = 5000
}

resource "aws_lb_target_group" "mlflow" {
  for_each = local.mlflow

  # checkov:skip=CKV_AWS_378: TLS ends at the load balancer; between it and the tasks lies the VPC.
  name        = "${var.name}-mlflow"
  port        = local.mlflow_port
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = var.vpc_id
  tags        = var.tags

  health_check {
    path     = "/health"
    matcher  = "200"
    interval = 30
  }
}

resource "aws_lb_listener_rule" "mlflow" {
  for_each = local.mlflow

  listener_arn = aws_lb_listener.this.arn
  priority     = 10
  tags         = var.tags

  action {
    type  = "authenticate-cognito"
    order = 1

    authenticate_cognito {
      user_pool_arn              = each.value.user_pool_arn
      user_pool_client_id        = each.value.user_pool_client_id
      user_pool_domain           = each.value.user_pool_domain
      session_timeout            = 28800
      on_unauthenticated_request = "authenticate"
    }
  }

  action {
    type             = "forward"
    order            = 2
    target_group_arn = aws_lb_target_group.mlflow[each.key].arn
  }

  condition {
    host_header {
      values = [local.mlflow_host]
    }
  }

  condition {
    source_ip {
      values = each.value.operator_cidrs
    }
  }
}

resource "aws_vpc_security_group_ingress_rule" "operators" {
  for_each = toset(var.mlflow_login == null ? [] : var.mlflow_login.operator_cidrs)

  description       = "Operators, over the VPN."
  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "mlflow" {
  for_each = local.mlflow

  description                  = "Requests and health checks of MLflow."
  security_group_id            = aws_security_group.balancer.id
  referenced_security_group_id = var.mlflow_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.mlflow_port
  to_port                      = local.mlflow_port
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "mlflow" {
  for_each = local.mlflow

  description                  = "The load balancer, once people have signed in."
  security_group_id            = var.mlflow_security_group_id
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.mlflow_port
  to_port                      = local.mlflow_port
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "sign_in" {
  for_each = local.mlflow

  description       = "Cognito, which the load balancer asks who has signed in."
  security_group_id = aws_security_group.balancer.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_route53_record" "mlflow" {
  for_each = local.mlflow

  zone_id = var.hosted_zone_id
  name    = local.mlflow_host
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = false
  }
}
