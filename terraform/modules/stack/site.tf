# The way in from the internet, and what tells people when something is wrong.

module "edge" {
  source = "../edge"

  providers = {
    aws           = aws
    aws.us_east_1 = aws.us_east_1
  }

  name                      = var.name
  tags                      = var.tags
  vpc_id                    = module.network.vpc_id
  private_subnet_ids        = module.network.private_subnet_ids
  domain                    = var.domain
  hosted_zone_id            = var.zone_id
  service_security_group_id = module.cluster.task_security_group_ids["service"]
  mlflow_security_group_id  = module.cluster.task_security_group_ids["mlflow"]
  mlflow_login              = var.mlflow_login
  site_bucket_domain        = module.storage.bucket_domain_names["site"]
  price_class               = var.price_class
  deletion_protection       = var.protected

  site = {
    origin_access_control_id    = module.website.origin_access_control_id
    cache_policy_ids            = module.website.cache_policy_ids
    response_headers_policy_ids = module.website.response_headers_policy_ids
    page_function_arn           = module.website.page_function_arn
  }
}

module "website" {
  source = "../website"

  name = var.name
}

module "budgets" {
  source = "../budgets"

  name              = var.name
  tags              = var.tags
  monthly_limit_usd = var.monthly_limit_usd
  emails            = var.emails
  topic_arn         = one(module.monitoring[*].topic_arn)
}

# Alarms say that nothing runs: they begin with the tasks.
module "monitoring" {
  source = "../monitoring"
  count  = local.with_images

  name                    = var.name
  tags                    = var.tags
  emails                  = var.emails
  topic_key_arn           = module.keys.data_key_arn
  logs_key_arn            = module.keys.logs_key_arn
  collectors              = var.metrics_image != null
  cluster_name            = module.cluster.cluster_name
  cluster_arn             = module.cluster.cluster_arn
  log_group_names         = module.cluster.log_group_names
  queue_names             = module.queue.queue_names
  dead_letter_names       = module.queue.dead_letter_names
  alb_arn_suffix          = module.edge.alb_arn_suffix
  target_group_arn_suffix = module.edge.target_group_arn_suffix
  database_id             = module.database.instance_id
  cache_id                = "${module.cache.replication_group_id}-001"

  service_names = {
    service  = module.service[0].service_name
    worker   = module.worker[0].service_name
    schedule = module.schedule[0].service_name
    mlflow   = module.mlflow[0].service_name
  }
}

module "spark" {
  source = "../spark"

  name               = var.name
  tags               = var.tags
  enabled            = var.spark != null
  image_uri          = try(var.spark.image_uri, null)
  repository_name    = try(var.spark.repository_name, null)
  architecture       = var.architecture
  bucket_arns        = module.storage.bucket_arns
  data_key_arn       = module.keys.data_key_arn
  subnet_ids         = module.network.private_subnet_ids
  security_group_ids = [module.cluster.task_security_group_ids["worker"]]
}
