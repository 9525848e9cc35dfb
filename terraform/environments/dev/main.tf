# The cheap one: one NAT gateway instead of endpoints, one of everything, workers on Spot, and all of it may be destroyed.

locals {
  name = "photo-recommender-dev"
  tags = {
    Application = "photo-recommender"
    Environment = "dev"
    Deployment  = local.name
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { ManagedBy = "terraform/environments/dev" }
  }
}

provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"

  default_tags {
    tags = { ManagedBy = "terraform/environments/dev" }
  }
}

module "stack" {
  source = "../../modules/stack"

  providers = {
    aws           = aws
    aws.us_east_1 = aws.us_east_1
  }

  name      = local.name
  tags      = local.tags
  protected = false

  cidr                = "10.20.0.0/16"
  availability_zones  = 2
  nat                 = "one"
  interface_endpoints = [] # dearer than what they save of NAT
  worker_subnets      = "private"

  images        = var.images
  architecture  = "ARM64"
  metrics_image = var.metrics_image
  settings      = var.settings

  flickr_key = var.flickr_key
  domain     = var.domain
  zone_id    = var.zone_id

  mlflow_login = var.mlflow_login
  price_class  = "PriceClass_100"

  sizes = {
    service  = { cpu = 512, memory = 2048, min = 1, max = 2, processes = 1, requests_per_minute = 600 }
    worker   = { cpu = 512, memory = 1024, min = 1, max = 2, spot_share = 1 }
    schedule = { cpu = 512, memory = 2048, count = 1 }
    mlflow   = { cpu = 512, memory = 1024 }
    features = { cpu = 1024, memory = 4096 }
    train    = { cpu = 2048, memory = 8192 }
  }

  schedules = {
    features = "cron(15 3 * * ? *)"
    train    = "cron(15 4 * * ? *)"
    compact  = "cron(45 2 * * ? *)"
  }

  database = { instance_class = "db.t4g.micro", storage_gib = 20, multi_az = false, backup_days = 3 }
  cache    = { node_type = "cache.t4g.micro", nodes = 1 }

  log_days          = 14
  emails            = var.emails
  monthly_limit_usd = var.monthly_limit_usd

  spark = var.spark
}
