# The processes: services that always run, and jobs that the clock starts. None of them exists before there are images.

locals {
  with_images = length(var.images) > 0 ? 1 : 0

  # What a collector beside a process reads; workers and schedulers serve their metrics on a port of their own.
  metrics = { for process, port in { service = 3000, worker = 9100, schedule = 9100 } : process => var.metrics_image == null ? null : {
    image          = var.metrics_image
    port           = port
    log_group_name = module.cluster.log_group_names["metrics"]
  } }

  jobs = {
    features = { schedule = var.schedules.features, size = var.sizes.features, role = "features", command = ["photo-recommender", "features"] }
    train    = { schedule = var.schedules.train, size = var.sizes.train, role = "train", command = ["photo-recommender", "train", "--if-due"] }
    compact  = { schedule = var.schedules.compact, size = var.sizes.schedule, role = "schedule", command = ["photo-recommender", "lake", "compact"] }
  }
}

module "cluster" {
  source = "../cluster"

  name               = var.name
  tags               = var.tags
  vpc_id             = module.network.vpc_id
  vpc_cidr           = module.network.vpc_cidr
  private_subnet_ids = module.network.private_subnet_ids
  public_subnet_ids  = module.network.public_subnet_ids
  worker_subnets     = var.worker_subnets
  logs_key_arn       = module.keys.logs_key_arn
  retention_days     = var.log_days
}

module "service" {
  source = "../service"
  count  = local.with_images

  name               = var.name
  tags               = var.tags
  service            = "service"
  cluster_arn        = module.cluster.cluster_arn
  cluster_name       = module.cluster.cluster_name
  image              = var.images["service"]
  architecture       = var.architecture
  cpu                = var.sizes.service.cpu
  memory             = var.sizes.service.memory
  port               = 3000
  environment        = merge(local.environment, { PHOTO_RECOMMENDER_WORKERS = tostring(var.sizes.service.processes) })
  secrets            = local.service_secrets
  role_arn           = module.identity.role_arns["service"]
  execution_role_arn = module.identity.role_arns["execution"]
  log_group_name     = module.cluster.log_group_names["service"]
  subnets            = module.cluster.worker_subnet_ids
  assign_public_ip   = module.cluster.worker_assign_public_ip
  security_group_ids = [module.cluster.task_security_group_ids["service"]]
  target_group_arn   = module.edge.target_group_arn
  metrics            = local.metrics.service

  autoscaling = {
    min                 = var.sizes.service.min
    max                 = var.sizes.service.max
    cpu_percent         = 60
    requests_per_target = var.sizes.service.requests_per_minute
    alb_request_label   = module.edge.alb_request_label
  }
  health_check = {
    command = ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/livez', timeout=4)"]
  }
}

module "worker" {
  source = "../service"
  count  = local.with_images

  name               = var.name
  tags               = var.tags
  service            = "worker"
  cluster_arn        = module.cluster.cluster_arn
  cluster_name       = module.cluster.cluster_name
  image              = var.images["worker"]
  command            = ["photo-recommender", "worker"]
  architecture       = var.architecture
  cpu                = var.sizes.worker.cpu
  memory             = var.sizes.worker.memory
  environment        = merge(local.environment, { PHOTO_RECOMMENDER_METRICS_PORT = "9100" })
  secrets            = local.flickr_secrets
  role_arn           = module.identity.role_arns["worker"]
  execution_role_arn = module.identity.role_arns["execution"]
  log_group_name     = module.cluster.log_group_names["worker"]
  subnets            = module.cluster.worker_subnet_ids
  assign_public_ip   = module.cluster.worker_assign_public_ip
  security_group_ids = [module.cluster.task_security_group_ids["worker"]]
  spot_share         = var.sizes.worker.spot_share
  metrics            = local.metrics.worker

  autoscaling = {
    min = var.sizes.worker.min
    max = var.sizes.worker.max
    # Those for whom a person waits; the others may wait for the budget of the next hour.
    queue_names       = [module.queue.queue_names["person"], module.queue.queue_names["neighbor"]]
    queue_age_seconds = 60
  }
  health_check = local.metrics_health
}

module "schedule" {
  source = "../service"
  count  = local.with_images

  name               = var.name
  tags               = var.tags
  service            = "schedule"
  cluster_arn        = module.cluster.cluster_arn
  cluster_name       = module.cluster.cluster_name
  image              = var.images["worker"]
  command            = ["photo-recommender", "schedule"]
  architecture       = var.architecture
  cpu                = var.sizes.schedule.cpu
  memory             = var.sizes.schedule.memory
  environment        = merge(local.environment, { PHOTO_RECOMMENDER_METRICS_PORT = "9100" })
  secrets            = local.flickr_secrets
  role_arn           = module.identity.role_arns["schedule"]
  execution_role_arn = module.identity.role_arns["execution"]
  log_group_name     = module.cluster.log_group_names["schedule"]
  subnets            = module.cluster.worker_subnet_ids
  assign_public_ip   = module.cluster.worker_assign_public_ip
  security_group_ids = [module.cluster.task_security_group_ids["worker"]]
  desired_count      = var.sizes.schedule.count # one is active, others stand by
  metrics            = local.metrics.schedule
  health_check       = local.metrics_health
}

locals {
  metrics_health = {
    command = ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9100/metrics', timeout=4)"]
  }
}

module "mlflow" {
  source = "../service"
  count  = local.with_images

  name                   = var.name
  tags                   = var.tags
  service                = "mlflow"
  cluster_arn            = module.cluster.cluster_arn
  cluster_name           = module.cluster.cluster_name
  image                  = var.images["mlflow"]
  architecture           = var.architecture
  cpu                    = var.sizes.mlflow.cpu
  memory                 = var.sizes.mlflow.memory
  port                   = 5000
  target_group_arn       = module.edge.mlflow_target_group_arn
  secrets                = local.postgres_login
  role_arn               = module.identity.role_arns["mlflow"]
  execution_role_arn     = module.identity.role_arns["execution"]
  log_group_name         = module.cluster.log_group_names["mlflow"]
  subnets                = module.cluster.worker_subnet_ids
  assign_public_ip       = module.cluster.worker_assign_public_ip
  security_group_ids     = [module.cluster.task_security_group_ids["mlflow"]]
  discovery_namespace_id = module.cluster.namespace_id

  environment = merge(local.environment, {
    MLFLOW_BACKEND_STORE_URI     = "${local.postgres}/mlflow"
    MLFLOW_DEFAULT_ARTIFACT_ROOT = local.artifacts
    MLFLOW_SERVER_ALLOWED_HOSTS  = join(",", compact([trimprefix(local.mlflow, "http://"), try(trimprefix(module.edge.mlflow_url, "https://"), "")]))
  })
  health_check = {
    command = ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
  }
}

module "job" {
  source   = "../service"
  for_each = { for job, how in local.jobs : job => how if local.with_images == 1 }

  name               = var.name
  tags               = var.tags
  service            = each.key
  cluster_arn        = module.cluster.cluster_arn
  cluster_name       = module.cluster.cluster_name
  image              = var.images["worker"]
  command            = each.value.command
  architecture       = var.architecture
  cpu                = each.value.size.cpu
  memory             = each.value.size.memory
  environment        = local.environment
  secrets            = local.job_secrets
  role_arn           = module.identity.role_arns[each.value.role]
  execution_role_arn = module.identity.role_arns["execution"]
  log_group_name     = module.cluster.log_group_names[each.value.role]
  subnets            = module.cluster.worker_subnet_ids
  assign_public_ip   = module.cluster.worker_assign_public_ip
  security_group_ids = [module.cluster.task_security_group_ids["worker"]]
  schedule           = each.value.schedule
}

# Never started by itself: `aws ecs run-task` does, once (docs/operations/deploy.md).
module "create_databases" {
  source = "../service"
  count  = local.with_images

  name               = var.name
  tags               = var.tags
  service            = "create-databases"
  cluster_arn        = module.cluster.cluster_arn
  cluster_name       = module.cluster.cluster_name
  image              = var.images["worker"]
  command            = module.database.create_command
  architecture       = var.architecture
  cpu                = 256
  memory             = 512
  environment        = merge(local.environment, { PGHOST = module.database.host, PGDATABASE = "accounts" })
  secrets            = local.postgres_login
  role_arn           = module.identity.role_arns["mlflow"]
  execution_role_arn = module.identity.role_arns["execution"]
  log_group_name     = module.cluster.log_group_names["mlflow"]
  subnets            = module.cluster.worker_subnet_ids
  security_group_ids = [module.cluster.task_security_group_ids["worker"]]
  desired_count      = 0
}
