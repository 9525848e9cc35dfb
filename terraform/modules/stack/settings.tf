# What the processes are told, and what they may do.

locals {
  lake_uri  = "s3://${module.storage.bucket_names["lake"]}/lake"
  artifacts = "s3://${module.storage.bucket_names["artifacts"]}/mlflow"
  postgres  = "postgresql+psycopg://${module.database.host}:${module.database.port}"
  mlflow    = "http://mlflow.${module.cluster.namespace_name}:5000"

  settings = merge({
    PHOTO_RECOMMENDER_LAKE_URI         = local.lake_uri
    PHOTO_RECOMMENDER_DATABASE_URL     = "${local.postgres}/accounts"
    PHOTO_RECOMMENDER_REGISTRY_URL     = "${local.postgres}/feast"
    PHOTO_RECOMMENDER_MLFLOW_URI       = local.mlflow
    PHOTO_RECOMMENDER_MLFLOW_ARTIFACTS = local.artifacts
    PHOTO_RECOMMENDER_FLICKR_KEY       = var.flickr_key
    PHOTO_RECOMMENDER_QUEUE_URL        = module.queue.queue_url_setting
    PHOTO_RECOMMENDER_PUBLIC_URL       = module.edge.site_url
    PHOTO_RECOMMENDER_HOST             = "0.0.0.0"
    PHOTO_RECOMMENDER_LOG_FORMAT       = "json"
    PHOTO_RECOMMENDER_TRUSTED_PROXIES  = module.network.vpc_cidr
    # A task of its own trains, by the clock: a training needs more memory than planning does.
    PHOTO_RECOMMENDER_RETRAIN_CHECK_HOURS = "0"
    # ECS takes a task out of the load balancer before it stops it; some requests are under way even then.
    PHOTO_RECOMMENDER_DRAIN_SECONDS = "5"
  }, var.settings)

  postgres_login = {
    PGUSER     = "${module.database.master_secret_arn}:username::"
    PGPASSWORD = "${module.database.master_secret_arn}:password::"
  }
  cache_address = {
    PHOTO_RECOMMENDER_ONLINE_STORE = module.cache.url_secret_arn
    PHOTO_RECOMMENDER_BUDGET_URL   = module.cache.url_secret_arn
  }
  # What a process does not ask for, it is not given.
  job_secrets = merge(module.parameters.setting_arns, local.postgres_login, local.cache_address, {
    PHOTO_RECOMMENDER_ERASURE_KEY = module.parameters.secret_arns["PHOTO_RECOMMENDER_ERASURE_KEY"]
  })
  flickr_secrets = merge(local.job_secrets, {
    PHOTO_RECOMMENDER_FLICKR_SECRET = module.parameters.secret_arns["PHOTO_RECOMMENDER_FLICKR_SECRET"]
  })
  service_secrets = merge(local.flickr_secrets, {
    PHOTO_RECOMMENDER_API_KEY    = module.parameters.secret_arns["PHOTO_RECOMMENDER_API_KEY"]
    PHOTO_RECOMMENDER_TOKEN_KEYS = module.parameters.secret_arns["PHOTO_RECOMMENDER_TOKEN_KEYS"]
  })

  environment = { PGSSLMODE = "require" }
}

module "parameters" {
  source = "../parameters"

  name                    = var.name
  tags                    = var.tags
  settings                = local.settings
  secrets_key_arn         = module.keys.secrets_key_arn
  recovery_window_in_days = var.protected ? 30 : 0
}

module "identity" {
  source = "../identity"

  name              = var.name
  tags              = var.tags
  bucket_arns       = module.storage.bucket_arns
  queue_arns        = values(module.queue.queue_arns)
  dead_letter_arns  = values(module.queue.dead_letter_arns)
  data_key_arn      = module.keys.data_key_arn
  secrets_key_arn   = module.keys.secrets_key_arn
  setting_arns      = module.parameters.setting_arns
  secret_arns       = module.parameters.secret_arns
  extra_secret_arns = [module.cache.url_secret_arn, module.database.master_secret_arn]
  repository_arns   = module.registry.repository_arns
  log_group_arns    = module.cluster.log_group_arns
}
