variable "name" {
  description = "Name of the deployment, the beginning of every name in it, such as photo-recommender-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,31}$", var.name))
    error_message = "name is 3 to 32 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}

variable "cidr" {
  description = "Addresses of the VPC, /16 to /20: each subnet gets a sixteenth of them."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("/(16|17|18|19|20)$", var.cidr))
    error_message = "cidr is an IPv4 range of /16 to /20, such as 10.20.0.0/16."
  }
}

variable "availability_zones" {
  description = "In how many availability zones there are subnets. RDS and the load balancer want two at least."
  type        = number

  validation {
    condition     = var.availability_zones >= 2 && var.availability_zones <= 6
    error_message = "availability_zones is 2 to 6."
  }
}

variable "nat" {
  description = "NAT gateways, the way from private subnets to Flickr: `none`, `one` for all zones, or one in `each`."
  type        = string

  validation {
    condition     = contains(["none", "one", "each"], var.nat)
    error_message = "nat is none, one or each."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached inside the VPC rather than through NAT: each costs by the hour and zone, and saves NAT's price of a gigabyte. S3's gateway endpoint is free and always there."
  type        = set(string)
  nullable    = false
  default     = ["ecr.api", "ecr.dkr", "logs", "secretsmanager", "ssm", "sqs", "kms", "sts"]

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z0-9.-]+$", service))])
    error_message = "interface_endpoints are services as the end of an endpoint's name has them, such as ecr.api."
  }
}

variable "logs_key_arn" {
  description = "KMS key of the flow logs."
  type        = string
}

variable "flow_log_days" {
  description = "Days for which flow logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_days)
    error_message = "flow_log_days is one of the retentions that CloudWatch Logs has: 1, 3, 5, 7, 14, 30, 60, 90, …"
  }
}
