variable "name" {
  description = "Name of the deployment, the beginning of every name in it, such as photo-recommender-dev."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,24}$", var.name))
    error_message = "name is 3 to 25 lower-case letters, digits and hyphens, and begins with a letter: names of target groups add seven to it, and have 32 at most."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "The VPC; it needs an internet gateway, as CloudFront asks of VPC origins (nothing goes through it)."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets of the load balancer, in two availability zones at least."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "a load balancer needs subnets in two availability zones."
  }
}

variable "domain" {
  description = "Name of the website, such as wall.example.com; \"\": CloudFront's own name."
  type        = string
  default     = ""

  validation {
    condition     = var.domain == "" || can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain is a name such as wall.example.com, or \"\"."
  }
}

variable "hosted_zone_id" {
  description = "Route 53 zone of the domain; needed with one."
  type        = string
  default     = null

  validation {
    condition     = var.domain == "" || var.hosted_zone_id != null
    error_message = "hosted_zone_id is needed with a domain."
  }
}

variable "service_security_group_id" {
  description = "Security group of the service's tasks."
  type        = string
}

variable "service_port" {
  description = "Port that the service listens on."
  type        = number
  default     = 3000
}

variable "mlflow_security_group_id" {
  description = "Security group of MLflow's tasks."
  type        = string
}

variable "mlflow_login" {
  description = "MLflow for people, at mlflow.<domain>: the Cognito user pool to sign in at (its secret stays there), and the networks (VPN) that get that far. Null: from within the VPC only. Needs a domain."
  type = object({
    user_pool_arn       = string
    user_pool_client_id = string
    user_pool_domain    = string
    operator_cidrs      = list(string)
  })
  default = null

  validation {
    condition     = var.mlflow_login == null || var.domain != ""
    error_message = "mlflow_login needs a domain."
  }

  validation {
    condition     = alltrue([for cidr in try(var.mlflow_login.operator_cidrs, []) : can(cidrnetmask(cidr)) && cidr != "0.0.0.0/0"])
    error_message = "operator_cidrs are IPv4 blocks of your own networks."
  }
}

variable "site_bucket_domain" {
  description = "Regional domain name of the site's bucket."
  type        = string
}

variable "site" {
  description = "How CloudFront serves the files: module website's outputs."
  type = object({
    origin_access_control_id    = string
    cache_policy_ids            = map(string)
    response_headers_policy_ids = map(string)
    page_function_arn           = string
  })
}

variable "rate_limits" {
  description = "Requests that one address may make in five minutes: of all, and of those that cost calls of Flickr."
  type = object({
    all    = optional(number, 3000)
    costly = optional(number, 100)
  })
  default = {}

  validation {
    condition     = var.rate_limits.costly >= 10 && var.rate_limits.all >= var.rate_limits.costly
    error_message = "rate_limits: costly is 10 or more, and at most all."
  }
}

variable "price_class" {
  description = "Where CloudFront serves from: PriceClass_100 (North America and Europe), PriceClass_200, PriceClass_All."
  type        = string
  default     = "PriceClass_100"

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "price_class is PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the load balancer."
  type        = bool
  default     = true
}
