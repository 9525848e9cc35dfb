output "application_id" {
  description = "Id of the application, for `aws emr-serverless start-job-run`; null where off."
  value       = one(aws_emrserverless_application.this[*].id)
}

output "role_arn" {
  description = "ARN of the role that jobs get; null where off."
  value       = one(aws_iam_role.training[*].arn)
}
