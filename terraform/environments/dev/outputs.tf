output "site_url" {
  description = "Address of the website."
  value       = module.stack.site_url
}

output "mlflow_url" {
  description = "Address of MLflow for people; null where it is reached from within the VPC only."
  value       = module.stack.mlflow_url
}

output "distribution_id" {
  description = "CloudFront's distribution, for invalidations."
  value       = module.stack.distribution_id
}

output "bucket_names" {
  description = "Names of the buckets: lake, artifacts, site, logs."
  value       = module.stack.bucket_names
}

output "repository_urls" {
  description = "Where images are pushed: service, worker, mlflow."
  value       = module.stack.repository_urls
}

output "secret_names" {
  description = "Secrets to be filled in by hand, by environment variable."
  value       = module.stack.secret_names
}

output "cluster_name" {
  description = "The ECS cluster."
  value       = module.stack.cluster_name
}

output "log_group_names" {
  description = "Log groups, by kind of process."
  value       = module.stack.log_group_names
}

output "task_families" {
  description = "Families of the tasks that are started by hand, by job; empty before there are images."
  value       = module.stack.task_families
}

output "run_task_network" {
  description = "What `aws ecs run-task --network-configuration` takes for such a task."
  value       = module.stack.run_task_network
}

output "spark" {
  description = "EMR Serverless's application and the role of its jobs; nulls where off."
  value       = module.stack.spark
}

output "dashboard_name" {
  description = "CloudWatch's dashboard; null before there are images."
  value       = module.stack.dashboard_name
}
