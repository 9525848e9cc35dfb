# The one that stays up: three zones with a NAT gateway each, two of everything that answers, a standby database and cache.

locals {
  name = "photo-recommender-prod"
  tags = {
    Application = "photo-recommender"
    Environment = "prod"
    Deployment  = local.name
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { ManagedBy = "terraform/environments/prod" }
  }
}

provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"

  default_tags {
    tags = { ManagedBy = "terraform/environments/prod" }
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
  protected = true

  cidr                = "10.30.0.0/16"
  availability_zones  = 3
  nat                 = "each"
  interface_endpoints = null # all that tasks call
  worker_subnets      = "private"

  images        = var.images
  architecture  = "ARM64"
  metrics_image = var.metrics_image
  settings      = var.settings

  flickr_key = var.flickr_key
  domain     = var.domain
  zone_id    = var.zone_id

  mlflow_login = var.mlflow_login
  price_class  = "PriceClass_All"

  sizes = {
    service  = { cpu = 2048, memory = 8192, min = 2, max = 8, processes = 3, requests_per_minute = 3000 }
    worker   = { cpu = 1024, memory = 2048, min = 2, max = 4, spot_share = 0.5 }
    schedule = { cpu = 1024, memory = 4096, count = 2 }
    mlflow   = { cpu = 1024, memory = 2048 }
    features = { cpu = 2048, memory = 8192 }
    train    = { cpu = 4096, memory = 16384 }
  }

  schedules = {
    features = "rate(6 hours)"
    train    = "rate(6 hours)"
    compact  = "cron(45 2 * * ? *)"
  }

  database = { instance_class = "db.m7g.large", storage_gib = 100, multi_az = true, backup_days = 14 }
  cache    = { node_type = "cache.t4g.medium", nodes = 2 }

  log_days          = 90
  emails            = var.emails
  monthly_limit_usd = var.monthly_limit_usd

  spark = var.spark
}
