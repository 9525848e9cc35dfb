output "site_url" {
  description = "Address of the website: the setting PUBLIC_URL."
  value       = "https://${local.site_host}"
}

output "target_group_arn" {
  description = "Target group of the service."
  value       = aws_lb_target_group.service.arn

  depends_on = [aws_lb_listener_rule.api] # ECS takes a target group only once a load balancer has it
}

output "mlflow_target_group_arn" {
  description = "Target group of MLflow; null where nobody signs in."
  value       = one([for group in aws_lb_target_group.mlflow : group.arn])

  depends_on = [aws_lb_listener_rule.mlflow]
}

output "mlflow_url" {
  description = "Address of MLflow for people; null where nobody signs in."
  value       = var.mlflow_login == null ? null : "https://${local.mlflow_host}"
}

output "alb_security_group_id" {
  description = "Security group of the load balancer."
  value       = aws_security_group.balancer.id
}

output "alb_arn_suffix" {
  description = "The load balancer, as CloudWatch's metrics name it."
  value       = aws_lb.this.arn_suffix
}

output "target_group_arn_suffix" {
  description = "The service's target group, as CloudWatch's metrics name it."
  value       = aws_lb_target_group.service.arn_suffix
}

output "alb_request_label" {
  description = "Both of them, as autoscaling on requests names them."
  value       = "${aws_lb.this.arn_suffix}/${aws_lb_target_group.service.arn_suffix}"
}

output "distribution_id" {
  description = "Id of the distribution."
  value       = aws_cloudfront_distribution.this.id
}

output "distribution_arn" {
  description = "ARN of the distribution, which may read the site's bucket."
  value       = aws_cloudfront_distribution.this.arn
}
