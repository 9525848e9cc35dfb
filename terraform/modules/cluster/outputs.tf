output "cluster_arn" {
  description = "ARN of the ECS cluster."
  value       = aws_ecs_cluster.this.arn
}

output "cluster_name" {
  description = "Name of the ECS cluster."
  value       = aws_ecs_cluster.this.name

  depends_on = [aws_ecs_cluster_capacity_providers.this] # a service that names a provider needs it attached
}

output "log_group_names" {
  description = "Names of the log groups, by kind of process; `metrics` holds what the collectors read."
  value       = { for process, group in aws_cloudwatch_log_group.process : process => group.name }
}

output "log_group_arns" {
  description = "ARNs of the log groups, by kind of process."
  value       = { for process, group in aws_cloudwatch_log_group.process : process => group.arn }
}

output "task_security_group_ids" {
  description = "Security groups of tasks: `service`, `mlflow`, and `worker` for workers, the scheduler and jobs."
  value       = { for group, made in aws_security_group.task : group => made.id }
}

output "namespace_id" {
  description = "Id of the private DNS namespace in which services register."
  value       = aws_service_discovery_private_dns_namespace.this.id
}

output "namespace_name" {
  description = "Name of that namespace: the service `mlflow` is mlflow.<namespace_name>."
  value       = aws_service_discovery_private_dns_namespace.this.name
}

output "worker_subnet_ids" {
  description = "Subnets for workers, the scheduler and jobs."
  value       = var.worker_subnets == "public" ? var.public_subnet_ids : var.private_subnet_ids
}

output "worker_assign_public_ip" {
  description = "Whether tasks in those subnets need an address of the internet of their own."
  value       = var.worker_subnets == "public"
}
