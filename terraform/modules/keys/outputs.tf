output "data_key_arn" {
  description = "Key of the lake, artifacts, queues, images, database, cache and notifications."
  value       = aws_kms_key.this["data"].arn
}

output "secrets_key_arn" {
  description = "Key of secrets and secure parameters."
  value       = aws_kms_key.this["secrets"].arn
}

output "logs_key_arn" {
  description = "Key of log groups; CloudWatch Logs of this account and region may use it."
  value       = aws_kms_key.this["logs"].arn
}
