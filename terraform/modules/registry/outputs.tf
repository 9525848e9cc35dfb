output "repository_urls" {
  description = "Addresses of the repositories, by image: service, worker, mlflow."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.repository_url }
}

output "repository_arns" {
  description = "The repositories, by image: service, worker, mlflow."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.arn }
}
