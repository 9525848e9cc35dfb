# What everything else stands on: network, keys, and where state lives.

module "network" {
  source = "../network"

  name                = var.name
  tags                = var.tags
  cidr                = var.cidr
  availability_zones  = var.availability_zones
  nat                 = var.nat
  interface_endpoints = var.interface_endpoints
  logs_key_arn        = module.keys.logs_key_arn
  flow_log_days       = var.log_days
}

module "keys" {
  source = "../keys"

  name          = var.name
  tags          = var.tags
  deletion_days = var.protected ? 30 : 7
}

module "registry" {
  source = "../registry"

  name         = var.name
  tags         = var.tags
  data_key_arn = module.keys.data_key_arn
  force_delete = !var.protected
}

module "storage" {
  source = "../storage"

  name                  = var.name
  tags                  = var.tags
  data_key_arn          = module.keys.data_key_arn
  site_distribution_arn = module.edge.distribution_arn
  force_destroy         = !var.protected
}

module "queue" {
  source = "../queue"

  name         = var.name
  tags         = var.tags
  data_key_arn = module.keys.data_key_arn
}

module "cache" {
  source = "../cache"

  name                    = var.name
  tags                    = var.tags
  vpc_id                  = module.network.vpc_id
  subnet_ids              = module.network.private_subnet_ids
  data_key_arn            = module.keys.data_key_arn
  secrets_key_arn         = module.keys.secrets_key_arn
  logs_key_arn            = module.keys.logs_key_arn
  node_type               = var.cache.node_type
  recovery_window_in_days = var.protected ? 30 : 0
  nodes                   = var.cache.nodes
  log_days                = var.log_days

  client_security_group_ids = {
    service = module.cluster.task_security_group_ids["service"]
    worker  = module.cluster.task_security_group_ids["worker"]
  }
}

module "database" {
  source = "../database"

  name                = var.name
  tags                = var.tags
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.private_subnet_ids
  data_key_arn        = module.keys.data_key_arn
  secrets_key_arn     = module.keys.secrets_key_arn
  logs_key_arn        = module.keys.logs_key_arn
  instance_class      = var.database.instance_class
  storage_gib         = var.database.storage_gib
  multi_az            = var.database.multi_az
  backup_days         = var.database.backup_days
  deletion_protection = var.protected
  log_days            = var.log_days

  client_security_group_ids = {
    service = module.cluster.task_security_group_ids["service"]
    worker  = module.cluster.task_security_group_ids["worker"]
    mlflow  = module.cluster.task_security_group_ids["mlflow"]
  }
}
