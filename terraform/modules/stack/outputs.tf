output "site_url" {
  description = "Address of the website."
  value       = module.edge.site_url
}

output "mlflow_url" {
  description = "Address of MLflow for people; null where it is reached from within the VPC only."
  value       = module.edge.mlflow_url
}

output "distribution_id" {
  description = "CloudFront's distribution, for invalidations."
  value       = module.edge.distribution_id
}

output "bucket_names" {
  description = "Names of the buckets: lake, artifacts, site, logs."
  value       = module.storage.bucket_names
}

output "repository_urls" {
  description = "Where images are pushed: service, worker, mlflow."
  value       = module.registry.repository_urls
}

output "secret_names" {
  description = "Secrets to be filled in by hand, by environment variable."
  value       = module.parameters.secret_names
}

output "cluster_name" {
  description = "The ECS cluster."
  value       = module.cluster.cluster_name
}

output "log_group_names" {
  description = "Log groups, by kind of process."
  value       = module.cluster.log_group_names
}

output "task_families" {
  description = "Families of the tasks that are started by hand, by job; empty before there are images."
  value = merge(
    { for job, made in module.job : job => made.task_family },
    { for made in module.create_databases : "create-databases" => made.task_family },
  )
}

output "run_task_network" {
  description = "What `aws ecs run-task --network-configuration` takes for such a task."
  value = jsonencode({
    awsvpcConfiguration = {
      subnets        = module.cluster.worker_subnet_ids
      securityGroups = [module.cluster.task_security_group_ids["worker"]]
      assignPublicIp = module.cluster.worker_assign_public_ip ? "ENABLED" : "DISABLED"
    }
  })
}

output "spark" {
  description = "EMR Serverless's application and the role of its jobs; nulls where off."
  value       = { application_id = module.spark.application_id, role_arn = module.spark.role_arn }
}

output "dashboard_name" {
  description = "CloudWatch's dashboard; null before there are images."
  value       = one(module.monitoring[*].dashboard_name)
}
