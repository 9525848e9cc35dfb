output "service_name" {
  description = "Name of the ECS service; null for a job."
  value       = one(aws_ecs_service.this[*].name)
}

output "task_definition_arn" {
  description = "ARN of the revision of the task definition."
  value       = aws_ecs_task_definition.this.arn
}

output "task_family" {
  description = "Family of the tasks, for `aws ecs run-task`."
  value       = aws_ecs_task_definition.this.family
}
