output "setting_arns" {
  description = "ARNs of the parameters, by the name of the environment variable."
  value       = { for name, parameter in aws_ssm_parameter.setting : name => parameter.arn }
}

output "secret_arns" {
  description = "ARNs of the secrets, by the name of the environment variable."
  value       = { for name, secret in aws_secretsmanager_secret.setting : name => secret.arn }
}

output "secret_names" {
  description = "Names of the secrets, by the name of the environment variable: for `aws secretsmanager put-secret-value`."
  value       = { for name, secret in aws_secretsmanager_secret.setting : name => secret.name }
}
